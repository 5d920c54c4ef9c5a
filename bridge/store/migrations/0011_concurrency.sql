-- How many jobs of a key may run at once, or within a window: a script says it, each of its jobs keeps it.
ALTER TABLE script ADD COLUMN concurrent_limit INTEGER;
ALTER TABLE script ADD COLUMN concurrency_time_window_s INTEGER;
ALTER TABLE script ADD COLUMN concurrency_key TEXT;
ALTER TABLE job ADD COLUMN concurrent_limit INTEGER;
ALTER TABLE job ADD COLUMN concurrency_time_window_s INTEGER;
ALTER TABLE job ADD COLUMN concurrency_key TEXT;  -- interpolated; NULL: no limit

-- Who takes up a place of a key: a running job, and one that ended within its window, until `free_at`.
CREATE TABLE concurrency_slot (
  job_id TEXT PRIMARY KEY REFERENCES job (id),
  concurrency_key TEXT NOT NULL,
  free_at REAL  -- NULL: it runs
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_of_key ON concurrency_slot (concurrency_key);
CREATE INDEX slot_free_at ON concurrency_slot (free_at) WHERE free_at IS NOT NULL;

-- A ready job whose key was full when its turn came: set apart, so that it stands in nobody's way.
ALTER TABLE queue ADD COLUMN waits_for TEXT;
ALTER TABLE queue ADD COLUMN met_limit INTEGER;
DROP INDEX queue_ready;
CREATE INDEX queue_ready ON queue (tag, priority DESC, scheduled_for, created_at)
 WHERE state = 'ready' AND waits_for IS NULL;
CREATE INDEX queue_held ON queue (waits_for, tag, met_limit, priority DESC, scheduled_for, created_at)
 WHERE waits_for IS NOT NULL;
