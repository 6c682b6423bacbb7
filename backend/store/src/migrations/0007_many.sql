-- What is due is found at the front of an index, however much waits and however much is held.
DROP INDEX operations_due;
CREATE INDEX operations_free ON operations (due_at, ordinal) WHERE state = 'pending' AND lease_until IS NULL;
CREATE INDEX operations_held ON operations (lease_until) WHERE state = 'pending' AND lease_until IS NOT NULL;
-- Each order adds up what was promised before, without reading the rows themselves.
CREATE INDEX databases_promised ON databases (plan, storage_gb, intent) WHERE intent <> 'destroy';
CREATE INDEX databases_exposed ON databases (expose, intent) WHERE expose <> 0;
