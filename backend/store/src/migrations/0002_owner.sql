-- What the store says of itself; so far whose it is.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
-- Old events are looked for each hour.
CREATE INDEX events_age ON events (at);
