-- How much log text of an attempt each agent that ran it has brought (I5): a duplicate may run at two sites, and
-- either may be the one that counts. It takes the place of ledger.log_chars, which older releases still read.
CREATE TABLE log_progress (
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  worker TEXT NOT NULL,
  chars INTEGER NOT NULL,
  PRIMARY KEY (job_id, attempt, worker)
) WITHOUT ROWID;
