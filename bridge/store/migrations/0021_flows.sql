-- Flows (openflow.md). A flow is a job that becomes ready again and again, until it has its result.

-- A deployed flow: a path answers with its newest version, a version with exactly one.
CREATE TABLE flow (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  path TEXT NOT NULL,
  summary TEXT NOT NULL,
  description TEXT NOT NULL,
  value TEXT NOT NULL,              -- JSON
  schema TEXT,                      -- JSON
  tag TEXT,
  timeout_s INTEGER,
  created_by TEXT NOT NULL,
  created_at REAL NOT NULL,
  archived INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX flow_head ON flow (workspace_id, path) WHERE archived = 0;
CREATE INDEX flow_path ON flow (workspace_id, path, version);

-- Of which flow a job is a step; NULL: of none.
ALTER TABLE job ADD COLUMN flow_step_id TEXT;
ALTER TABLE job ADD COLUMN root_job TEXT;                 -- the outermost flow
ALTER TABLE job ADD COLUMN flow_innermost_root_job TEXT;
ALTER TABLE job ADD COLUMN pre_run_error TEXT;            -- why it fails before it begins
ALTER TABLE job ADD COLUMN flow_version INTEGER;          -- of a deployed flow
ALTER TABLE job ADD COLUMN entrypoint TEXT;               -- the function to call; NULL: main

-- It succeeded, and what it was for was passed over.
ALTER TABLE completed ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;

-- What flows run, by the SHA-256 of its text: a thousand iterations of a loop keep it once.
CREATE TABLE flow_value (
  hash TEXT PRIMARY KEY,
  value TEXT NOT NULL               -- JSON
) STRICT, WITHOUT ROWID;

-- A flow's own state. Each change raises `version`: who decided on an older one changes nothing.
CREATE TABLE flow_run (
  id TEXT PRIMARY KEY REFERENCES job (id),
  value_hash TEXT NOT NULL REFERENCES flow_value (hash),
  status TEXT NOT NULL,             -- JSON, without the lists of children
  version INTEGER NOT NULL,         -- 0: it has not begun
  again INTEGER NOT NULL,           -- it has something to do before it may be parked
  wakes_at REAL,                    -- it is looked at then, whatever happens; NULL: only when something does
  suspend INTEGER NOT NULL,         -- how many people's words it waits for
  early_result TEXT                 -- JSON: what callers that wait are answered with before it ends
) STRICT, WITHOUT ROWID;

-- The children of a flow, in order: a step of a loop costs the same whether it is the first or the last.
CREATE TABLE flow_child (
  flow_id TEXT NOT NULL REFERENCES job (id),
  module_id TEXT NOT NULL,
  round INTEGER NOT NULL,           -- how often the module was begun anew before
  position INTEGER NOT NULL,        -- of the iteration or branch; 0 where there is one child only
  job_id TEXT NOT NULL REFERENCES job (id),
  PRIMARY KEY (flow_id, module_id, round, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_child_job ON flow_child (job_id);

-- The items of a loop, until its flow ends.
CREATE TABLE flow_item (
  flow_id TEXT NOT NULL REFERENCES job (id),
  module_id TEXT NOT NULL,
  round INTEGER NOT NULL,
  position INTEGER NOT NULL,
  value TEXT NOT NULL,              -- JSON
  PRIMARY KEY (flow_id, module_id, round, position)
) STRICT, WITHOUT ROWID;

-- What a flow has not been told yet. It is taken in the transaction of the transition that it leads to.
CREATE TABLE flow_event (
  at INTEGER PRIMARY KEY AUTOINCREMENT,
  flow_id TEXT NOT NULL REFERENCES job (id),
  what TEXT NOT NULL,               -- ended, resumed, canceled
  job_id TEXT NOT NULL,             -- of the child that ended, else empty
  ok INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  stopped INTEGER NOT NULL,         -- it stops the flow too
  handled INTEGER NOT NULL          -- a failure module has run for it
) STRICT;
CREATE INDEX flow_event_of ON flow_event (flow_id, at);

-- People's words to flows that wait for them: each link counts once.
CREATE TABLE flow_resume (
  id TEXT PRIMARY KEY,              -- the job's id XOR the number in the link
  job_id TEXT NOT NULL REFERENCES job (id), -- the step after which the flow waits; or the flow, until a step takes it
  resume_id INTEGER NOT NULL,
  payload TEXT NOT NULL,            -- JSON
  approver TEXT,
  approved INTEGER NOT NULL,
  at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_resume_of ON flow_resume (job_id, at);

CREATE TABLE flow_user_state (
  flow_id TEXT NOT NULL REFERENCES job (id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,              -- JSON
  PRIMARY KEY (flow_id, key)
) STRICT, WITHOUT ROWID;

-- Which jobs did the same work with the same arguments: their results may stand for another's.
CREATE TABLE flow_cache (
  work TEXT NOT NULL,               -- SHA-256 of what is run, with which arguments
  job_id TEXT NOT NULL REFERENCES job (id),
  PRIMARY KEY (work, job_id)
) STRICT, WITHOUT ROWID;
