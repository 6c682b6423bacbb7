-- What applications of a project find in their environment.

ALTER TABLE projects ADD COLUMN auto_provision BIGINT NOT NULL DEFAULT 0;
-- When the first use of the environment made a database: it does so once in a project's life.
ALTER TABLE projects ADD COLUMN auto_provisioned_at BIGINT;
ALTER TABLE databases ADD COLUMN inject_env TEXT NOT NULL DEFAULT '{}';

-- Variables of users. The columns data_key and value hold ciphertext only.
CREATE TABLE env_variables (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    data_key TEXT NOT NULL,
    value TEXT NOT NULL,
    sensitive BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
