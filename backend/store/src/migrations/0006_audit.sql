-- Whose token it was, and field by field what a change did. Names are copied, since the journal
-- outlives those it names.
ALTER TABLE events ADD COLUMN actor_user TEXT;
ALTER TABLE events ADD COLUMN actor_user_name TEXT;
ALTER TABLE events ADD COLUMN changes TEXT NOT NULL DEFAULT '[]';
CREATE INDEX events_token ON events (actor_token, sequence);
CREATE INDEX events_user ON events (actor_user, sequence);
