-- People, what each may do in which project, and whose each token is. Tokens that were there
-- before people belong to the installation's administrator.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (name);
CREATE INDEX users_age ON users (created_at, id);

CREATE TABLE project_members (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_members_user ON project_members (user_id, project_id);

ALTER TABLE tokens ADD COLUMN user_id TEXT NOT NULL DEFAULT 'usr_admin';
CREATE INDEX tokens_user ON tokens (user_id);
