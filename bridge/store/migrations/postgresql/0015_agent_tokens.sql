-- Agent tokens that have proved themselves here, and who has used them: what the broker may ask about, and what has
-- to be ended when a token ends. Never the token itself.
CREATE TABLE agent_token (
  token_id TEXT COLLATE "C" PRIMARY KEY,
  tags TEXT COLLATE "C" NOT NULL,              -- a JSON list
  expires_at DOUBLE PRECISION NOT NULL,
  standing TEXT COLLATE "C" NOT NULL DEFAULT 'good'  -- good, expired, revoked: as far as it has been carried out
);

CREATE TABLE agent_login (
  worker TEXT COLLATE "C" NOT NULL,
  token_id TEXT COLLATE "C" NOT NULL REFERENCES agent_token (token_id) ON DELETE CASCADE,
  used_at DOUBLE PRECISION NOT NULL,           -- when the worker began to use it, the last time
  PRIMARY KEY (worker, token_id)
);

CREATE INDEX agent_login_of ON agent_login (token_id);

-- An attempt that was taken from an agent whose token was revoked: what it still brings is not believed.
ALTER TABLE ledger ADD COLUMN distrusted BIGINT NOT NULL DEFAULT 0;

-- Results that nobody vouches for any more, until an operator decides.
CREATE TABLE quarantined_result (
  job_id TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL,
  worker TEXT COLLATE "C" NOT NULL,
  came_at DOUBLE PRECISION NOT NULL,
  result BYTEA NOT NULL,                       -- as it travelled
  document BYTEA,                              -- null when its parts never came, or once it is decided
  decision TEXT COLLATE "C",                   -- accepted, rejected
  decided_by TEXT COLLATE "C",
  decided_at DOUBLE PRECISION,
  PRIMARY KEY (job_id, attempt, worker)
);
