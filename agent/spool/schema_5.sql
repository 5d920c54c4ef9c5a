-- When the broker confirmed the result, in seconds that agents of this spool have run: who has waited for its
-- receipt for too long is found without a look at the others. 0: an older release sent it.
ALTER TABLE held ADD COLUMN sent_at REAL NOT NULL DEFAULT 0;

DROP INDEX held_sent;

CREATE INDEX held_sent ON held (sent_at) WHERE state = 'sent';
