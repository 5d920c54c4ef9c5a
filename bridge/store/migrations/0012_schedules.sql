-- A script that runs by the clock.
CREATE TABLE schedule (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  path TEXT NOT NULL,
  schedule TEXT NOT NULL,          -- cron, with seconds first
  timezone TEXT NOT NULL,
  script_path TEXT NOT NULL,
  args TEXT NOT NULL,              -- a JSON object, as it came
  enabled INTEGER NOT NULL,
  summary TEXT,
  description TEXT,
  tag TEXT,
  retry TEXT,                      -- JSON
  no_flow_overlap INTEGER NOT NULL,
  paused_until REAL,
  edited_by TEXT NOT NULL,
  edited_at REAL NOT NULL,
  email TEXT NOT NULL,
  error TEXT,                      -- why the last tick brought no job
  next_tick REAL,                  -- NULL: none will come
  last_job TEXT,
  PRIMARY KEY (workspace_id, path)
) STRICT;
CREATE INDEX schedule_next ON schedule (next_tick) WHERE next_tick IS NOT NULL;

ALTER TABLE job ADD COLUMN schedule_path TEXT;
