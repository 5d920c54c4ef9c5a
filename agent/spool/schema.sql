-- One row per (job, attempt) in custody. The row is the truth; memory only mirrors it.
CREATE TABLE held (
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  tag TEXT NOT NULL,
  state TEXT NOT NULL,             -- see agent/jobs/model.py
  delivery TEXT NOT NULL,
  priority INTEGER,
  max_interruptions INTEGER NOT NULL,
  interruptions INTEGER NOT NULL DEFAULT 0,
  remaining_s REAL,                -- seconds it had left to live when it was held; null = for ever
  held_at REAL NOT NULL,           -- wall seconds
  body BLOB NOT NULL,              -- the exact bytes of the signed job
  body_crc INTEGER NOT NULL,
  accepted_sent INTEGER NOT NULL DEFAULT 0,
  started_at REAL,                 -- wall seconds
  started_sent INTEGER NOT NULL DEFAULT 0,
  canceled_by TEXT,
  cancel_reason TEXT,
  log_chars INTEGER NOT NULL DEFAULT 0,
  finished_at REAL,
  result BLOB,                     -- a packed Result
  result_crc INTEGER,
  PRIMARY KEY (job_id, attempt)
);  -- a table with rowids: in an index tree every small update would rewrite the body's overflow pages

CREATE TABLE log_chunk (
  id INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  start INTEGER NOT NULL,          -- characters of this attempt's log before the text
  text TEXT NOT NULL
);

-- What was brought to its end here: a duplicate that arrives later is acknowledged and not run again.
CREATE TABLE seen (
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (job_id, attempt)
) WITHOUT ROWID;

-- Rows whose bytes do not match their checksum: kept for a person, never run and never delivered.
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  what TEXT NOT NULL,
  bytes BLOB,
  reported INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
