-- What agents tell of themselves in their pings; null: an agent of an older release, which does not.
ALTER TABLE enrolled_agent ADD COLUMN running BIGINT;
ALTER TABLE enrolled_agent ADD COLUMN next_s DOUBLE PRECISION;            -- the ping after the last one was to come so soon
ALTER TABLE enrolled_agent ADD COLUMN backlog_age_s DOUBLE PRECISION;     -- as the last ping had it
ALTER TABLE enrolled_agent ADD COLUMN spool_bytes BIGINT;
ALTER TABLE enrolled_agent ADD COLUMN spool_most_bytes BIGINT;
ALTER TABLE enrolled_agent ADD COLUMN drained BIGINT;          -- what it says itself of the next
ALTER TABLE enrolled_agent ADD COLUMN drained_by TEXT COLLATE "C";        -- who asked that it takes nothing new; null: it may

-- Times in which nothing was heard of a worker, for two days.
CREATE TABLE link_outage (
  worker TEXT COLLATE "C" NOT NULL,
  down_at DOUBLE PRECISION NOT NULL,            -- when it was heard of last
  up_at DOUBLE PRECISION,                       -- null: it is still away
  on_purpose BIGINT NOT NULL,      -- it said good-bye
  PRIMARY KEY (worker, down_at)
);
CREATE UNIQUE INDEX link_outage_open ON link_outage (worker) WHERE up_at IS NULL;

-- Work done while the link was down, found without reading what else has ended.
CREATE INDEX ledger_while_down ON ledger (closed_at) WHERE finished_while_down = 1;

-- Which workers were there in a month: what compute units are counted by.
CREATE TABLE worker_month (
  month TEXT COLLATE "C" NOT NULL,              -- 2026-11
  worker TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (month, worker)
);

-- What people call an agent group; its name in tokens stays.
CREATE TABLE group_title (
  worker_group TEXT COLLATE "C" PRIMARY KEY,
  title TEXT COLLATE "C" NOT NULL
);
