-- What a variable was before it was replaced or removed. The columns data_key and value hold
-- ciphertext only.
CREATE TABLE env_versions (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    data_key TEXT NOT NULL,
    value TEXT NOT NULL,
    sensitive BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, version)
);
CREATE INDEX env_versions_ended ON env_versions (ended_at);
