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

-- It succeeded, and what it was for was passed over.
ALTER TABLE completed ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;

-- A flow's own state. Each transition raises `version`: who decided on an older one changes nothing.
CREATE TABLE flow_run (
  id TEXT PRIMARY KEY REFERENCES job (id),
  value TEXT NOT NULL,              -- what it runs, JSON
  status TEXT NOT NULL,             -- JSON, without the lists of children; empty: not begun
  version INTEGER NOT NULL,
  wakes_at REAL,                    -- it is looked at then, whatever happens; NULL: only when something does
  suspend INTEGER NOT NULL DEFAULT 0,  -- how many approvals it waits for
  early_result TEXT                 -- whose result callers that wait are answered with: a job's id
) STRICT, WITHOUT ROWID;

-- The children of a flow, in order: a step of a loop costs the same whether it is the first or the last.
CREATE TABLE flow_child (
  flow_id TEXT NOT NULL REFERENCES job (id),
  module_id TEXT NOT NULL,
  position INTEGER NOT NULL,        -- of the iteration or branch; 0 where there is one child only
  job_id TEXT NOT NULL REFERENCES job (id),
  replaced INTEGER NOT NULL DEFAULT 0, -- another job tried again what this one failed to do
  PRIMARY KEY (flow_id, module_id, position, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_child_job ON flow_child (job_id);

-- What a flow has not been told yet. It is taken in the transaction of the transition that it leads to.
CREATE TABLE flow_event (
  at INTEGER PRIMARY KEY AUTOINCREMENT,
  flow_id TEXT NOT NULL REFERENCES job (id),
  what TEXT NOT NULL,               -- ended, resumed, canceled
  job_id TEXT NOT NULL              -- of the child; or empty
) STRICT;
CREATE INDEX flow_event_of ON flow_event (flow_id, at);

-- Approvals and refusals: each link counts once.
CREATE TABLE flow_resume (
  id TEXT PRIMARY KEY,              -- the job's id XOR the number in the link
  job_id TEXT NOT NULL REFERENCES job (id), -- the step that suspends, or the flow itself
  flow_id TEXT NOT NULL REFERENCES job (id),
  resume_id INTEGER NOT NULL,
  payload TEXT NOT NULL,            -- JSON
  approver TEXT,
  approved INTEGER NOT NULL,
  at REAL NOT NULL,
  taken INTEGER NOT NULL DEFAULT 0  -- it let a step go on already
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_resume_of ON flow_resume (flow_id, at);

CREATE TABLE flow_user_state (
  flow_id TEXT NOT NULL REFERENCES job (id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,              -- JSON
  PRIMARY KEY (flow_id, key)
) STRICT, WITHOUT ROWID;

-- Whose result stands for the same work with the same arguments, and until when.
CREATE TABLE flow_cache (
  work TEXT PRIMARY KEY,            -- SHA-256 of what is run, with which arguments
  job_id TEXT NOT NULL REFERENCES job (id),
  until REAL NOT NULL
) STRICT, WITHOUT ROWID;
