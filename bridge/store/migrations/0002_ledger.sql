-- The bridge's durable record of custody (DESIGN section 3): one row per dispatch of a job.
CREATE TABLE ledger (
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  workspace TEXT NOT NULL,
  tag TEXT NOT NULL,
  body BLOB,                       -- the exact bytes to publish; null once closed
  token TEXT NOT NULL DEFAULT '',  -- the job token, for a cluster that wants it back with the result
  job_json TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,             -- taken, published, accepted, closed
  custodian TEXT,
  taken_at REAL NOT NULL,
  published_at REAL,
  accepted_at REAL,
  started_at REAL,
  result_at REAL,
  closed_at REAL,
  outcome TEXT,
  late INTEGER NOT NULL DEFAULT 0, -- results that came after the job was closed
  finished_while_down INTEGER NOT NULL DEFAULT 0,
  cancel_sent TEXT,                -- what the custodian has been told
  log_chars INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job_id, attempt)
) WITHOUT ROWID;
CREATE INDEX ledger_open ON ledger (state, tag) WHERE state <> 'closed';
CREATE INDEX ledger_closed ON ledger (closed_at) WHERE state = 'closed';

CREATE TABLE blob_part (
  job_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  part_index INTEGER NOT NULL,
  part_count INTEGER NOT NULL,
  part BLOB NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (job_id, sha256, part_index)
) WITHOUT ROWID;

CREATE TABLE enrolled_agent (
  worker TEXT PRIMARY KEY,
  worker_group TEXT NOT NULL,
  tags TEXT NOT NULL,              -- a JSON list
  version TEXT,
  slots INTEGER,
  held INTEGER NOT NULL DEFAULT 0,
  backlog INTEGER NOT NULL DEFAULT 0,
  enrolled_at REAL NOT NULL,
  last_heard REAL NOT NULL,
  left_at REAL
) WITHOUT ROWID;

CREATE TABLE signing_key (
  kid TEXT PRIMARY KEY,
  private BLOB NOT NULL,
  created_at REAL NOT NULL
) WITHOUT ROWID;
