-- When what nobody uses sleeps, and how much a project may have.
ALTER TABLE projects ADD COLUMN sleep_after_minutes BIGINT;
ALTER TABLE projects ADD COLUMN quota TEXT;
ALTER TABLE databases ADD COLUMN sleep_after_minutes BIGINT;
-- Looked for after every change.
CREATE INDEX databases_asleep ON databases (id) WHERE intent = 'sleep';
