-- The common subset of SQLite and PostgreSQL: text ids, milliseconds as BIGINT, booleans as
-- 0 and 1, JSON as TEXT. Each statement ends with a semicolon at the end of its line.

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT,
    default_region TEXT,
    deletion_protection BIGINT NOT NULL,
    on_destroy TEXT NOT NULL,
    tags TEXT NOT NULL,
    claim_token TEXT,
    claim_request TEXT,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    destroyed_at BIGINT
);
-- A destroyed project gives its name and its slug free.
CREATE UNIQUE INDEX projects_name ON projects (name) WHERE destroyed_at IS NULL;
CREATE UNIQUE INDEX projects_slug ON projects (slug) WHERE destroyed_at IS NULL;
CREATE INDEX projects_age ON projects (created_at, id);

CREATE TABLE databases (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    engine TEXT NOT NULL,
    technology TEXT,
    version TEXT NOT NULL,
    plan TEXT NOT NULL,
    region TEXT NOT NULL,
    storage_gb BIGINT NOT NULL,
    replicas BIGINT NOT NULL,
    intent TEXT NOT NULL,
    instance TEXT NOT NULL,
    database_name TEXT NOT NULL,
    username TEXT NOT NULL,
    pooler TEXT,
    credential_version BIGINT NOT NULL,
    expose BIGINT NOT NULL,
    public_port BIGINT,
    allow_list TEXT NOT NULL,
    tls_mode TEXT NOT NULL,
    deletion_protection BIGINT NOT NULL,
    recovery_window_days BIGINT NOT NULL,
    tags TEXT NOT NULL,
    claim_token TEXT,
    claim_request TEXT,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    destroyed_at BIGINT,
    recoverable_until BIGINT,
    purged_at BIGINT
);
CREATE UNIQUE INDEX databases_name ON databases (project_id, name) WHERE intent <> 'destroy';
CREATE UNIQUE INDEX databases_slug ON databases (project_id, slug) WHERE intent <> 'destroy';
CREATE UNIQUE INDEX databases_public_port ON databases (public_port) WHERE intent <> 'destroy';
CREATE UNIQUE INDEX databases_instance ON databases (instance);
CREATE INDEX databases_age ON databases (created_at, id);
CREATE INDEX databases_lookup ON databases (name);
CREATE INDEX databases_trash ON databases (recoverable_until) WHERE intent = 'destroy' AND purged_at IS NULL;

CREATE TABLE observations (
    database_id TEXT PRIMARY KEY REFERENCES databases (id),
    observed TEXT NOT NULL,
    observed_detail TEXT,
    observed_generation BIGINT NOT NULL,
    phase TEXT NOT NULL,
    conditions TEXT NOT NULL,
    version_actual TEXT,
    storage_used_bytes BIGINT,
    connections BIGINT,
    observed_at BIGINT NOT NULL
);

-- The columns data_key, password, verifier and sealed hold ciphertext only.
CREATE TABLE credentials (
    database_id TEXT NOT NULL REFERENCES databases (id),
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data_key TEXT NOT NULL,
    password TEXT NOT NULL,
    verifier TEXT NOT NULL,
    PRIMARY KEY (database_id, version)
);
CREATE UNIQUE INDEX credentials_state ON credentials (database_id, state);

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    data_key TEXT NOT NULL,
    sealed TEXT NOT NULL
);

CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    ordinal BIGINT NOT NULL,
    kind TEXT NOT NULL,
    database_id TEXT NOT NULL REFERENCES databases (id),
    project_id TEXT NOT NULL,
    instance TEXT NOT NULL,
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    lease_holder TEXT,
    lease_until BIGINT,
    failure_code TEXT,
    failure_message TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE UNIQUE INDEX operations_ordinal ON operations (ordinal);
CREATE INDEX operations_database ON operations (database_id, ordinal);
-- At most one change of a database is under way.
CREATE UNIQUE INDEX operations_pending ON operations (database_id) WHERE state = 'pending';
CREATE INDEX operations_due ON operations (due_at) WHERE state = 'pending';

CREATE TABLE events (
    sequence BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_token TEXT,
    actor_name TEXT,
    actor_address TEXT,
    project_id TEXT,
    database_id TEXT,
    operation_id TEXT,
    message TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX events_project ON events (project_id, sequence);
CREATE INDEX events_database ON events (database_id, sequence);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    project_id TEXT REFERENCES projects (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX tokens_age ON tokens (created_at, id);

CREATE TABLE idempotency_records (
    caller TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status BIGINT NOT NULL,
    data_key TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX idempotency_records_age ON idempotency_records (created_at);

-- Numbers that only ever rise.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('version', 0), ('event', 0), ('operation', 0);

-- One known text under the root key, by which a wrong key is found out before anything is read.
CREATE TABLE key_check (
    id TEXT PRIMARY KEY,
    data_key TEXT NOT NULL,
    sealed TEXT NOT NULL
);
