-- The locks of scripts: resolved once they are deployed. `lock` NULL with a `lock_job`: they are not known yet.
ALTER TABLE script ADD COLUMN lock_given INTEGER NOT NULL DEFAULT 0; -- who deployed it gave it: nothing changes it
ALTER TABLE script ADD COLUMN lock_job TEXT;                     -- the newest job that was to resolve it
ALTER TABLE script ADD COLUMN lock_error_logs TEXT;              -- why that came to nothing
UPDATE script SET lock_given = 1 WHERE lock <> '';

CREATE INDEX script_versions ON script (workspace_id, path, created_at DESC);

-- Which path's newest version imports which path; of that there may be no script yet.
CREATE TABLE script_import (
  workspace_id TEXT NOT NULL,
  imported TEXT NOT NULL,
  importer TEXT NOT NULL,
  PRIMARY KEY (workspace_id, imported, importer)
) STRICT, WITHOUT ROWID;
CREATE INDEX script_importer ON script_import (workspace_id, importer);

-- What a resolution said beside its lock.
CREATE TABLE resolved_lock (
  lock_hash TEXT PRIMARY KEY,      -- SHA-256 of the lock's text
  language TEXT NOT NULL,
  hashes TEXT NOT NULL,            -- JSON: by pin, those of its files
  resolved_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest job that was to resolve the inline steps of a flow's version, and why it could not.
CREATE TABLE flow_lock (
  version INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL,
  error TEXT
) STRICT;
