-- Cluster and relay, as the SQLite migrations 0001 to 0013 leave them. Times are seconds since the epoch, UTC; JSON is
-- kept as text, as it came; truth is 0 or 1. Text is ordered by its bytes, as SQLite does, whatever the server's locale.

CREATE TABLE setting (
  name TEXT COLLATE "C" PRIMARY KEY,
  value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE workspace (
  id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT COLLATE "C" NOT NULL,
  owner TEXT COLLATE "C" NOT NULL
);

INSERT INTO workspace (id, name, owner) VALUES ('admins', 'Admins', 'admin'), ('main', 'Main', 'admin');

CREATE TABLE person (
  email TEXT COLLATE "C" PRIMARY KEY,
  username TEXT COLLATE "C" NOT NULL UNIQUE,
  password_hash TEXT COLLATE "C" NOT NULL,
  superadmin BIGINT NOT NULL
);

-- A bearer token of a person. Only its SHA-256 is kept, so a stolen store opens nothing.
CREATE TABLE person_token (
  hash TEXT COLLATE "C" PRIMARY KEY,
  email TEXT COLLATE "C" NOT NULL REFERENCES person (email),
  label TEXT COLLATE "C" NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  expires_at DOUBLE PRECISION
);

CREATE TABLE script (
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  hash TEXT COLLATE "C" NOT NULL,
  path TEXT COLLATE "C" NOT NULL,
  parent_hash TEXT COLLATE "C",
  summary TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  content TEXT COLLATE "C" NOT NULL,
  language TEXT COLLATE "C" NOT NULL,
  tag TEXT COLLATE "C",
  lock TEXT COLLATE "C",
  schema TEXT COLLATE "C",
  timeout_s BIGINT,
  priority BIGINT,
  created_by TEXT COLLATE "C" NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  archived BIGINT NOT NULL DEFAULT 0,
  delivery TEXT COLLATE "C" CHECK (delivery IN ('at_least_once', 'at_most_once')),
  lost_after_s BIGINT,
  replace TEXT COLLATE "C" CHECK (replace IN ('never', 'when_lost')),
  concurrent_limit BIGINT,
  concurrency_time_window_s BIGINT,
  concurrency_key TEXT COLLATE "C",
  PRIMARY KEY (workspace_id, hash)
);

-- A path has one script that answers to it; what it replaced stays reachable by its hash.
CREATE UNIQUE INDEX script_head ON script (workspace_id, path) WHERE archived = 0;

-- What a job is: written once, at push. `code` is NULL when `script_hash` names it.
CREATE TABLE job (
  id TEXT COLLATE "C" PRIMARY KEY,
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  kind TEXT COLLATE "C" NOT NULL,
  created_by TEXT COLLATE "C" NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  permissioned_as TEXT COLLATE "C" NOT NULL,
  email TEXT COLLATE "C" NOT NULL,
  scheduled_for DOUBLE PRECISION NOT NULL,
  script_path TEXT COLLATE "C",
  script_hash TEXT COLLATE "C",
  language TEXT COLLATE "C" NOT NULL,
  code TEXT COLLATE "C",
  lock TEXT COLLATE "C",
  args TEXT COLLATE "C" NOT NULL,
  tag TEXT COLLATE "C" NOT NULL,
  priority BIGINT,
  timeout_s BIGINT,
  delivery TEXT COLLATE "C" NOT NULL CHECK (delivery IN ('at_least_once', 'at_most_once')),
  not_after DOUBLE PRECISION,
  same_worker BIGINT NOT NULL DEFAULT 0,
  parent_job TEXT COLLATE "C",
  lost_after_s BIGINT,
  replace TEXT COLLATE "C" CHECK (replace IN ('never', 'when_lost')),
  retry TEXT COLLATE "C",  -- the policy, JSON; NULL: none
  retries BIGINT NOT NULL DEFAULT 0,  -- how many jobs failed before this one
  retry_of TEXT COLLATE "C",  -- the first of those that were tried
  concurrent_limit BIGINT,
  concurrency_time_window_s BIGINT,
  concurrency_key TEXT COLLATE "C",  -- interpolated; NULL: no limit
  schedule_path TEXT COLLATE "C"
);

CREATE INDEX job_newest ON job (workspace_id, created_at DESC);

-- Where a job is until it has a result. The row goes in the transaction that writes `completed`.
CREATE TABLE queue (
  id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  workspace_id TEXT COLLATE "C" NOT NULL,
  tag TEXT COLLATE "C" NOT NULL,
  priority BIGINT,
  scheduled_for DOUBLE PRECISION NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('later', 'ready', 'running')),
  worker TEXT COLLATE "C",
  started_at DOUBLE PRECISION,
  canceled_by TEXT COLLATE "C",
  canceled_reason TEXT COLLATE "C",
  restarts BIGINT NOT NULL DEFAULT 0,
  request_id TEXT COLLATE "C",
  waits_for TEXT COLLATE "C",
  met_limit BIGINT
);

CREATE INDEX queue_later ON queue (scheduled_for) WHERE state = 'later';
CREATE INDEX queue_running ON queue (id) WHERE state = 'running';
CREATE INDEX queue_newest ON queue (workspace_id, created_at DESC);

-- The one recorded result of a job (I1): the primary key lets nobody write a second.
CREATE TABLE completed (
  id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  status TEXT COLLATE "C" NOT NULL CHECK (status IN ('success', 'failure', 'canceled')),
  result TEXT COLLATE "C" NOT NULL,
  started_at DOUBLE PRECISION,
  completed_at DOUBLE PRECISION NOT NULL,
  duration_ms BIGINT NOT NULL,
  mem_peak_kb BIGINT,
  worker TEXT COLLATE "C",
  canceled_by TEXT COLLATE "C",
  canceled_reason TEXT COLLATE "C"
);

-- A job's text in pieces; `at` is the number of characters before the piece.
CREATE TABLE log_piece (
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  at BIGINT NOT NULL,
  text TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (job_id, at)
);

CREATE TABLE log_head (
  job_id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  chars BIGINT NOT NULL
);

-- How far each writer's stream has been applied: what makes a repeated piece harmless (I5).
CREATE TABLE log_writer (
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  writer TEXT COLLATE "C" NOT NULL,
  chars BIGINT NOT NULL,
  PRIMARY KEY (job_id, writer)
);

CREATE TABLE worker (
  worker TEXT COLLATE "C" PRIMARY KEY,
  worker_group TEXT COLLATE "C" NOT NULL,
  worker_instance TEXT COLLATE "C" NOT NULL,
  ip TEXT COLLATE "C" NOT NULL,
  version TEXT COLLATE "C" NOT NULL,
  tags TEXT COLLATE "C" NOT NULL,
  started_at DOUBLE PRECISION NOT NULL,
  pinged_at DOUBLE PRECISION NOT NULL,
  jobs_executed BIGINT NOT NULL,
  last_job_id TEXT COLLATE "C",
  last_job_workspace_id TEXT COLLATE "C",
  occupancy_rate DOUBLE PRECISION,
  occupancy_rate_15s DOUBLE PRECISION,
  occupancy_rate_5m DOUBLE PRECISION,
  occupancy_rate_30m DOUBLE PRECISION,
  vcpus BIGINT,
  memory BIGINT,
  memory_usage BIGINT,
  wm_memory_usage BIGINT,
  job_isolation TEXT COLLATE "C",
  native_mode BIGINT
);

-- The bridge's durable record of custody (DESIGN section 3): one row per dispatch of a job.
CREATE TABLE ledger (
  job_id TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL,
  workspace TEXT COLLATE "C" NOT NULL,
  tag TEXT COLLATE "C" NOT NULL,
  body BYTEA,                       -- the exact bytes to publish; null once closed
  token TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the job token, for a cluster that wants it back with the result
  job_json TEXT COLLATE "C" NOT NULL DEFAULT '',
  state TEXT COLLATE "C" NOT NULL,             -- taken, published, accepted, closed
  custodian TEXT COLLATE "C",
  taken_at DOUBLE PRECISION NOT NULL,
  published_at DOUBLE PRECISION,
  accepted_at DOUBLE PRECISION,
  started_at DOUBLE PRECISION,
  result_at DOUBLE PRECISION,
  closed_at DOUBLE PRECISION,
  outcome TEXT COLLATE "C",
  late BIGINT NOT NULL DEFAULT 0, -- results that came after the job was closed
  finished_while_down BIGINT NOT NULL DEFAULT 0,
  cancel_sent TEXT COLLATE "C",                -- what the custodian has been told
  log_chars BIGINT NOT NULL DEFAULT 0,
  lost_after_s DOUBLE PRECISION,
  replace TEXT COLLATE "C",
  not_after DOUBLE PRECISION,  -- wall seconds of this bridge
  finished_at DOUBLE PRECISION,         -- wall seconds of the site
  clock_offset_ms BIGINT,  -- the site's wall clock minus ours, when it finished
  revoked TEXT COLLATE "C",  -- what the custodian of a lost attempt was told: NULL, 'superseded', 'over'
  PRIMARY KEY (job_id, attempt)
);
CREATE INDEX ledger_open ON ledger (state, tag) WHERE state <> 'closed';
CREATE INDEX ledger_closed ON ledger (closed_at) WHERE state = 'closed';

CREATE TABLE blob_part (
  job_id TEXT COLLATE "C" NOT NULL,
  sha256 TEXT COLLATE "C" NOT NULL,
  part_index BIGINT NOT NULL,
  part_count BIGINT NOT NULL,
  part BYTEA NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (job_id, sha256, part_index)
);

CREATE TABLE enrolled_agent (
  worker TEXT COLLATE "C" PRIMARY KEY,
  worker_group TEXT COLLATE "C" NOT NULL,
  tags TEXT COLLATE "C" NOT NULL,              -- a JSON list
  version TEXT COLLATE "C",
  slots BIGINT,
  held BIGINT NOT NULL DEFAULT 0,
  backlog BIGINT NOT NULL DEFAULT 0,
  enrolled_at DOUBLE PRECISION NOT NULL,
  last_heard DOUBLE PRECISION NOT NULL,
  left_at DOUBLE PRECISION,
  clock_offset_ms BIGINT
);

CREATE TABLE signing_key (
  kid TEXT COLLATE "C" PRIMARY KEY,
  private BYTEA NOT NULL,
  created_at DOUBLE PRECISION NOT NULL
);

-- How much log text of an attempt each agent that ran it has brought (I5): a duplicate may run at two sites, and
-- either may be the one that counts. It takes the place of ledger.log_chars, which older releases still read.
CREATE TABLE log_progress (
  job_id TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL,
  worker TEXT COLLATE "C" NOT NULL,
  chars BIGINT NOT NULL,
  PRIMARY KEY (job_id, attempt, worker)
);

CREATE INDEX ledger_not_after ON ledger (not_after) WHERE not_after IS NOT NULL AND state <> 'closed';

CREATE INDEX ledger_to_revoke ON ledger (custodian)
 WHERE outcome IN ('lost', 'superseded') AND late = 0 AND coalesce(revoked, '') <> 'over';

-- What jobs look up, and what they tell while they run. A secret's `value` is sealed; its key lies beside the store.
CREATE TABLE variable (
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  path TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,
  is_secret BIGINT NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (workspace_id, path)
);

CREATE TABLE resource (
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  path TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,             -- JSON text, as it came
  resource_type TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  created_by TEXT COLLATE "C" NOT NULL,
  edited_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (workspace_id, path)
);

CREATE TABLE resource_type (
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  name TEXT COLLATE "C" NOT NULL,
  schema TEXT COLLATE "C" NOT NULL,            -- JSON text, as it came
  description TEXT COLLATE "C" NOT NULL,
  created_by TEXT COLLATE "C" NOT NULL,
  edited_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (workspace_id, name)
);

CREATE TABLE job_progress (
  job_id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  percent BIGINT NOT NULL
);

-- A streamed result in pieces; `place` numbers them, so that a repeated piece is seen to be one.
CREATE TABLE stream_piece (
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  place BIGINT NOT NULL,
  text TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (job_id, place)
);

-- Which request of its worker a running job answered: asked again, the request gets the same job.
CREATE INDEX queue_request ON queue (worker, request_id) WHERE request_id IS NOT NULL;

-- Agent tokens that no longer hold, without their prefix and suffix.
CREATE TABLE blacklisted_token (
  token TEXT COLLATE "C" NOT NULL,
  expires_at DOUBLE PRECISION NOT NULL,
  blacklisted_at DOUBLE PRECISION NOT NULL,
  blacklisted_by TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX blacklisted ON blacklisted_token (md5(token));  -- a token may be longer than an index takes

-- The environment of every job of a workspace, beside what is reserved.
CREATE TABLE workspace_environment (
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  name TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (workspace_id, name)
);

CREATE INDEX job_retries ON job (retry_of, retries) WHERE retry_of IS NOT NULL;

-- Who takes up a place of a key: a running job, and one that ended within its window, until `free_at`.
CREATE TABLE concurrency_slot (
  job_id TEXT COLLATE "C" PRIMARY KEY REFERENCES job (id),
  concurrency_key TEXT COLLATE "C" NOT NULL,
  free_at DOUBLE PRECISION  -- NULL: it runs
);
CREATE INDEX slot_of_key ON concurrency_slot (concurrency_key);
CREATE INDEX slot_free_at ON concurrency_slot (free_at) WHERE free_at IS NOT NULL;

-- A ready job whose key was full when its turn came: set apart, so that it stands in nobody's way.
CREATE INDEX queue_ready ON queue (tag, priority DESC NULLS LAST, scheduled_for, created_at)
 WHERE state = 'ready' AND waits_for IS NULL;
CREATE INDEX queue_held ON queue (waits_for, tag, met_limit, priority DESC NULLS LAST, scheduled_for, created_at)
 WHERE waits_for IS NOT NULL;

-- A script that runs by the clock.
CREATE TABLE schedule (
  workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspace (id),
  path TEXT COLLATE "C" NOT NULL,
  schedule TEXT COLLATE "C" NOT NULL,          -- cron, with seconds first
  timezone TEXT COLLATE "C" NOT NULL,
  script_path TEXT COLLATE "C" NOT NULL,
  args TEXT COLLATE "C" NOT NULL,              -- a JSON object, as it came
  enabled BIGINT NOT NULL,
  summary TEXT COLLATE "C",
  description TEXT COLLATE "C",
  tag TEXT COLLATE "C",
  retry TEXT COLLATE "C",                      -- JSON
  no_flow_overlap BIGINT NOT NULL,
  paused_until DOUBLE PRECISION,
  edited_by TEXT COLLATE "C" NOT NULL,
  edited_at DOUBLE PRECISION NOT NULL,
  email TEXT COLLATE "C" NOT NULL,
  error TEXT COLLATE "C",                      -- why the last tick brought no job
  next_tick DOUBLE PRECISION,                  -- NULL: none will come
  last_job TEXT COLLATE "C",
  PRIMARY KEY (workspace_id, path)
);
CREATE INDEX schedule_next ON schedule (next_tick) WHERE next_tick IS NOT NULL;

-- Parts of large results that agents send over HTTP, until the job has its result.
CREATE TABLE result_part (
  job_id TEXT COLLATE "C" NOT NULL REFERENCES job (id),
  sha256 TEXT COLLATE "C" NOT NULL,
  part_index BIGINT NOT NULL,
  part BYTEA NOT NULL,
  PRIMARY KEY (job_id, sha256, part_index)
);
