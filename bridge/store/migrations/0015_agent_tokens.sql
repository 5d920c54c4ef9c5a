-- Agent tokens that have proved themselves here, and who has used them: what the broker may ask about, and what has
-- to be ended when a token ends. Never the token itself.
CREATE TABLE agent_token (
  token_id TEXT PRIMARY KEY,
  tags TEXT NOT NULL,              -- a JSON list
  expires_at REAL NOT NULL,
  standing TEXT NOT NULL DEFAULT 'good'  -- good, expired, revoked: as far as it has been carried out
) STRICT;

CREATE TABLE agent_login (
  worker TEXT NOT NULL,
  token_id TEXT NOT NULL REFERENCES agent_token (token_id) ON DELETE CASCADE,
  used_at REAL NOT NULL,           -- when the worker began to use it, the last time
  PRIMARY KEY (worker, token_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX agent_login_of ON agent_login (token_id);

-- An attempt that was taken from an agent whose token was revoked: what it still brings is not believed.
ALTER TABLE ledger ADD COLUMN distrusted INTEGER NOT NULL DEFAULT 0;

-- Results that nobody vouches for any more, until an operator decides.
CREATE TABLE quarantined_result (
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  worker TEXT NOT NULL,
  came_at REAL NOT NULL,
  result BLOB NOT NULL,            -- as it travelled
  document BLOB,                   -- null when its parts never came, or once it is decided
  decision TEXT,                   -- accepted, rejected
  decided_by TEXT,
  decided_at REAL,
  PRIMARY KEY (job_id, attempt, worker)
) STRICT, WITHOUT ROWID;
