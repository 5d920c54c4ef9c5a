-- What agents tell of themselves in their pings; null: an agent of an older release, which does not.
ALTER TABLE enrolled_agent ADD COLUMN running INTEGER;
ALTER TABLE enrolled_agent ADD COLUMN next_s REAL;            -- the ping after the last one was to come so soon
ALTER TABLE enrolled_agent ADD COLUMN backlog_age_s REAL;     -- as the last ping had it
ALTER TABLE enrolled_agent ADD COLUMN spool_bytes INTEGER;
ALTER TABLE enrolled_agent ADD COLUMN spool_most_bytes INTEGER;
ALTER TABLE enrolled_agent ADD COLUMN drained INTEGER;          -- what it says itself of the next
ALTER TABLE enrolled_agent ADD COLUMN drained_by TEXT;        -- who asked that it takes nothing new; null: it may

-- Times in which nothing was heard of a worker, for two days.
CREATE TABLE link_outage (
  worker TEXT NOT NULL,
  down_at REAL NOT NULL,            -- when it was heard of last
  up_at REAL,                       -- null: it is still away
  on_purpose INTEGER NOT NULL,      -- it said good-bye
  PRIMARY KEY (worker, down_at)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX link_outage_open ON link_outage (worker) WHERE up_at IS NULL;

-- Work done while the link was down, found without reading what else has ended.
CREATE INDEX ledger_while_down ON ledger (closed_at) WHERE finished_while_down = 1;

-- Which workers were there in a month: what compute units are counted by.
CREATE TABLE worker_month (
  month TEXT NOT NULL,              -- 2026-11
  worker TEXT NOT NULL,
  PRIMARY KEY (month, worker)
) STRICT, WITHOUT ROWID;

-- What people call an agent group; its name in tokens stays.
CREATE TABLE group_title (
  worker_group TEXT PRIMARY KEY,
  title TEXT NOT NULL
) STRICT;
