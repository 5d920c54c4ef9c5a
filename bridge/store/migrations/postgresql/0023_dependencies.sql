-- The locks of scripts: resolved once they are deployed. `lock` NULL with a `lock_job`: they are not known yet.
ALTER TABLE script ADD COLUMN lock_given BIGINT NOT NULL DEFAULT 0; -- who deployed it gave it: nothing changes it
ALTER TABLE script ADD COLUMN lock_job TEXT COLLATE "C";         -- the newest job that was to resolve it
ALTER TABLE script ADD COLUMN lock_error_logs TEXT COLLATE "C";  -- why that came to nothing
UPDATE script SET lock_given = 1 WHERE lock <> '';

CREATE INDEX script_versions ON script (workspace_id, path, created_at DESC);

-- Which path's newest version imports which path; of that there may be no script yet.
CREATE TABLE script_import (
  workspace_id TEXT COLLATE "C" NOT NULL,
  imported TEXT COLLATE "C" NOT NULL,
  importer TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (workspace_id, imported, importer)
);
CREATE INDEX script_importer ON script_import (workspace_id, importer);

-- What a resolution said beside its lock.
CREATE TABLE resolved_lock (
  lock_hash TEXT COLLATE "C" PRIMARY KEY,      -- SHA-256 of the lock's text
  language TEXT COLLATE "C" NOT NULL,
  hashes TEXT COLLATE "C" NOT NULL,            -- JSON: by pin, those of its files
  resolved_at DOUBLE PRECISION NOT NULL
);

-- The newest job that was to resolve the inline steps of a flow's version, and why it could not.
CREATE TABLE flow_lock (
  version BIGINT PRIMARY KEY,
  job_id TEXT COLLATE "C" NOT NULL,
  error TEXT COLLATE "C"
);
