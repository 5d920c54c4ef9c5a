-- Flows (openflow.md). A flow is a job that becomes ready again and again, until it has its result.

-- A deployed flow: a path answers with its newest version, a version with exactly one.
CREATE TABLE flow (
  version BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  path TEXT COLLATE "C" NOT NULL,
  summary TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,              -- JSON
  schema TEXT COLLATE "C",                      -- JSON
  tag TEXT COLLATE "C",
  timeout_s BIGINT,
  created_by TEXT COLLATE "C" NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  archived BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX flow_head ON flow (workspace_id, path) WHERE archived = 0;
CREATE INDEX flow_path ON flow (workspace_id, path, version);

-- Of which flow a job is a step; NULL: of none.
ALTER TABLE job ADD COLUMN flow_step_id TEXT COLLATE "C";
ALTER TABLE job ADD COLUMN root_job TEXT COLLATE "C";                 -- the outermost flow
ALTER TABLE job ADD COLUMN flow_innermost_root_job TEXT COLLATE "C";
ALTER TABLE job ADD COLUMN pre_run_error TEXT COLLATE "C";            -- why it fails before it begins
ALTER TABLE job ADD COLUMN flow_version BIGINT;          -- of a deployed flow

-- It succeeded, and what it was for was passed over.
ALTER TABLE completed ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;

-- A flow's own state. Each transition raises `version`: who decided on an older one changes nothing.
CREATE TABLE flow_run (
  id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  value TEXT COLLATE "C" NOT NULL,              -- what it runs, JSON
  status TEXT COLLATE "C" NOT NULL,             -- JSON, without the lists of children; empty: not begun
  version BIGINT NOT NULL,
  wakes_at DOUBLE PRECISION,                    -- it is looked at then, whatever happens; NULL: only when something does
  suspend BIGINT NOT NULL DEFAULT 0,  -- how many approvals it waits for
  early_result TEXT COLLATE "C"                 -- whose result callers that wait are answered with: a job's id
);

-- The children of a flow, in order: a step of a loop costs the same whether it is the first or the last.
CREATE TABLE flow_child (
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  module_id TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,        -- of the iteration or branch; 0 where there is one child only
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  replaced BIGINT NOT NULL DEFAULT 0, -- another job tried again what this one failed to do
  PRIMARY KEY (flow_id, module_id, position, job_id)
);
CREATE INDEX flow_child_job ON flow_child (job_id);

-- What a flow has not been told yet. It is taken in the transaction of the transition that it leads to.
CREATE TABLE flow_event (
  at BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  what TEXT COLLATE "C" NOT NULL,               -- ended, resumed, canceled
  job_id TEXT COLLATE "C" NOT NULL              -- of the child; or empty
);
CREATE INDEX flow_event_of ON flow_event (flow_id, at);

-- Approvals and refusals: each link counts once.
CREATE TABLE flow_resume (
  id TEXT COLLATE "C" PRIMARY KEY,              -- the job's id XOR the number in the link
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id), -- the step that suspends, or the flow itself
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  resume_id BIGINT NOT NULL,
  payload TEXT COLLATE "C" NOT NULL,            -- JSON
  approver TEXT COLLATE "C",
  approved BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  taken BIGINT NOT NULL DEFAULT 0  -- it let a step go on already
);
CREATE INDEX flow_resume_of ON flow_resume (flow_id, at);

CREATE TABLE flow_user_state (
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  key TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,              -- JSON
  PRIMARY KEY (flow_id, key)
);

-- Whose result stands for the same work with the same arguments, and until when.
CREATE TABLE flow_cache (
  work TEXT COLLATE "C" PRIMARY KEY,            -- SHA-256 of what is run, with which arguments
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  until DOUBLE PRECISION NOT NULL
);
