-- What jobs look up, and what they tell while they run. A secret's `value` is sealed; its key lies beside the store.
CREATE TABLE variable (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  is_secret INTEGER NOT NULL,
  description TEXT NOT NULL,
  PRIMARY KEY (workspace_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE resource (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  path TEXT NOT NULL,
  value TEXT NOT NULL,             -- JSON text, as it came
  resource_type TEXT NOT NULL,
  description TEXT NOT NULL,
  created_by TEXT NOT NULL,
  edited_at REAL NOT NULL,
  PRIMARY KEY (workspace_id, path)
) STRICT;

CREATE TABLE resource_type (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  schema TEXT NOT NULL,            -- JSON text, as it came
  description TEXT NOT NULL,
  created_by TEXT NOT NULL,
  edited_at REAL NOT NULL,
  PRIMARY KEY (workspace_id, name)
) STRICT;

CREATE TABLE job_progress (
  job_id TEXT PRIMARY KEY REFERENCES job (id),
  percent INTEGER NOT NULL
) STRICT;

-- A streamed result in pieces; `place` numbers them, so that a repeated piece is seen to be one.
CREATE TABLE stream_piece (
  job_id TEXT NOT NULL REFERENCES job (id),
  place INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job_id, place)
) STRICT;

-- Which request of its worker a running job answered: asked again, the request gets the same job.
ALTER TABLE queue ADD COLUMN request_id TEXT;
CREATE INDEX queue_request ON queue (worker, request_id) WHERE request_id IS NOT NULL;

-- Agent tokens that no longer hold, without their prefix and suffix.
CREATE TABLE blacklisted_token (
  token TEXT PRIMARY KEY,
  expires_at REAL NOT NULL,
  blacklisted_at REAL NOT NULL,
  blacklisted_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The environment of every job of a workspace, beside what is reserved.
CREATE TABLE workspace_environment (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (workspace_id, name)
) STRICT, WITHOUT ROWID;
