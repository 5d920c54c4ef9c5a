-- The embedded cluster. Times are seconds since the epoch, UTC; JSON is kept as text, as it came.

CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE workspace (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  owner TEXT NOT NULL
) STRICT;

INSERT INTO workspace (id, name, owner) VALUES ('admins', 'Admins', 'admin'), ('main', 'Main', 'admin');

CREATE TABLE person (
  email TEXT PRIMARY KEY,
  username TEXT NOT NULL UNIQUE,
  password_hash TEXT NOT NULL,
  superadmin INTEGER NOT NULL
) STRICT;

-- A bearer token of a person. Only its SHA-256 is kept, so a stolen store opens nothing.
CREATE TABLE person_token (
  hash TEXT PRIMARY KEY,
  email TEXT NOT NULL REFERENCES person (email),
  label TEXT NOT NULL,
  created_at REAL NOT NULL,
  expires_at REAL
) STRICT;

CREATE TABLE script (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  hash TEXT NOT NULL,
  path TEXT NOT NULL,
  parent_hash TEXT,
  summary TEXT NOT NULL,
  description TEXT NOT NULL,
  content TEXT NOT NULL,
  language TEXT NOT NULL,
  tag TEXT,
  lock TEXT,
  schema TEXT,
  timeout_s INTEGER,
  priority INTEGER,
  created_by TEXT NOT NULL,
  created_at REAL NOT NULL,
  archived INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, hash)
) STRICT;

-- A path has one script that answers to it; what it replaced stays reachable by its hash.
CREATE UNIQUE INDEX script_head ON script (workspace_id, path) WHERE archived = 0;

-- What a job is: written once, at push. `code` is NULL when `script_hash` names it.
CREATE TABLE job (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  kind TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at REAL NOT NULL,
  permissioned_as TEXT NOT NULL,
  email TEXT NOT NULL,
  scheduled_for REAL NOT NULL,
  script_path TEXT,
  script_hash TEXT,
  language TEXT NOT NULL,
  code TEXT,
  lock TEXT,
  args TEXT NOT NULL,
  tag TEXT NOT NULL,
  priority INTEGER,
  timeout_s INTEGER,
  delivery TEXT NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
  not_after REAL,
  same_worker INTEGER NOT NULL DEFAULT 0,
  parent_job TEXT
) STRICT;

CREATE INDEX job_newest ON job (workspace_id, created_at DESC);

-- Where a job is until it has a result. The row goes in the transaction that writes `completed`.
CREATE TABLE queue (
  id TEXT PRIMARY KEY REFERENCES job (id),
  workspace_id TEXT NOT NULL,
  tag TEXT NOT NULL,
  priority INTEGER,
  scheduled_for REAL NOT NULL,
  created_at REAL NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('later', 'ready', 'running')),
  worker TEXT,
  started_at REAL,
  canceled_by TEXT,
  canceled_reason TEXT,
  restarts INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX queue_ready ON queue (tag, priority DESC, scheduled_for, created_at) WHERE state = 'ready';
CREATE INDEX queue_later ON queue (scheduled_for) WHERE state = 'later';
CREATE INDEX queue_running ON queue (id) WHERE state = 'running';
CREATE INDEX queue_newest ON queue (workspace_id, created_at DESC);

-- The one recorded result of a job (I1): the primary key lets nobody write a second.
CREATE TABLE completed (
  id TEXT PRIMARY KEY REFERENCES job (id),
  status TEXT NOT NULL CHECK (status IN ('success', 'failure', 'canceled')),
  result TEXT NOT NULL,
  started_at REAL,
  completed_at REAL NOT NULL,
  duration_ms INTEGER NOT NULL,
  mem_peak_kb INTEGER,
  worker TEXT,
  canceled_by TEXT,
  canceled_reason TEXT
) STRICT;

-- A job's text in pieces; `at` is the number of characters before the piece.
CREATE TABLE log_piece (
  job_id TEXT NOT NULL REFERENCES job (id),
  at INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job_id, at)
) STRICT;

CREATE TABLE log_head (
  job_id TEXT PRIMARY KEY REFERENCES job (id),
  chars INTEGER NOT NULL
) STRICT;

-- How far each writer's stream has been applied: what makes a repeated piece harmless (I5).
CREATE TABLE log_writer (
  job_id TEXT NOT NULL REFERENCES job (id),
  writer TEXT NOT NULL,
  chars INTEGER NOT NULL,
  PRIMARY KEY (job_id, writer)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
  worker TEXT PRIMARY KEY,
  worker_group TEXT NOT NULL,
  worker_instance TEXT NOT NULL,
  ip TEXT NOT NULL,
  version TEXT NOT NULL,
  tags TEXT NOT NULL,
  started_at REAL NOT NULL,
  pinged_at REAL NOT NULL,
  jobs_executed INTEGER NOT NULL,
  last_job_id TEXT,
  last_job_workspace_id TEXT,
  occupancy_rate REAL,
  occupancy_rate_15s REAL,
  occupancy_rate_5m REAL,
  occupancy_rate_30m REAL,
  vcpus INTEGER,
  memory INTEGER,
  memory_usage INTEGER,
  wm_memory_usage INTEGER,
  job_isolation TEXT,
  native_mode INTEGER
) STRICT;
