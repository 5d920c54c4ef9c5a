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
ALTER TABLE job ADD COLUMN entrypoint TEXT COLLATE "C";               -- the function to call; NULL: main

-- It succeeded, and what it was for was passed over.
ALTER TABLE completed ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;

-- What flows run, by the SHA-256 of its text: a thousand iterations of a loop keep it once.
CREATE TABLE flow_value (
  hash TEXT COLLATE "C" PRIMARY KEY,
  value TEXT COLLATE "C" NOT NULL               -- JSON
);

-- A flow's own state. Each change raises `version`: who decided on an older one changes nothing.
CREATE TABLE flow_run (
  id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  value_hash TEXT COLLATE "C" NOT NULL REFERENCES flow_value (hash),
  status TEXT COLLATE "C" NOT NULL,             -- JSON, without the lists of children
  version BIGINT NOT NULL,         -- 0: it has not begun
  again BIGINT NOT NULL,           -- it has something to do before it may be parked
  wakes_at DOUBLE PRECISION,                    -- it is looked at then, whatever happens; NULL: only when something does
  suspend BIGINT NOT NULL,         -- how many people's words it waits for
  early_result TEXT COLLATE "C"                 -- JSON: what callers that wait are answered with before it ends
);

-- The children of a flow, in order: a step of a loop costs the same whether it is the first or the last.
CREATE TABLE flow_child (
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  module_id TEXT COLLATE "C" NOT NULL,
  round BIGINT NOT NULL,           -- how often the module was begun anew before
  position BIGINT NOT NULL,        -- of the iteration or branch; 0 where there is one child only
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  PRIMARY KEY (flow_id, module_id, round, position)
);
CREATE INDEX flow_child_job ON flow_child (job_id);

-- The items of a loop, until its flow ends.
CREATE TABLE flow_item (
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  module_id TEXT COLLATE "C" NOT NULL,
  round BIGINT NOT NULL,
  position BIGINT NOT NULL,
  value TEXT COLLATE "C" NOT NULL,              -- JSON
  PRIMARY KEY (flow_id, module_id, round, position)
);

-- What a flow has not been told yet. It is taken in the transaction of the transition that it leads to.
CREATE TABLE flow_event (
  at BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  what TEXT COLLATE "C" NOT NULL,               -- ended, resumed, canceled
  job_id TEXT COLLATE "C" NOT NULL,             -- of the child that ended, else empty
  ok BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  stopped BIGINT NOT NULL,         -- it stops the flow too
  handled BIGINT NOT NULL          -- a failure module has run for it
);
CREATE INDEX flow_event_of ON flow_event (flow_id, at);

-- People's words to flows that wait for them: each link counts once.
CREATE TABLE flow_resume (
  id TEXT COLLATE "C" PRIMARY KEY,              -- the job's id XOR the number in the link
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id), -- the step after which the flow waits; or the flow, until a step takes it
  resume_id BIGINT NOT NULL,
  payload TEXT COLLATE "C" NOT NULL,            -- JSON
  approver TEXT COLLATE "C",
  approved BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL
);
CREATE INDEX flow_resume_of ON flow_resume (job_id, at);

CREATE TABLE flow_user_state (
  flow_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  key TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,              -- JSON
  PRIMARY KEY (flow_id, key)
);

-- Which jobs did the same work with the same arguments: their results may stand for another's.
CREATE TABLE flow_cache (
  work TEXT COLLATE "C" NOT NULL,               -- SHA-256 of what is run, with which arguments
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  PRIMARY KEY (work, job_id)
);
