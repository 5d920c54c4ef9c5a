-- The device keys that tokens are bound to, and those that wait for an admin (DESIGN section 5).
CREATE TABLE device (
  token_id TEXT NOT NULL,          -- names the token (`wire.tokens.token_id`)
  kid TEXT NOT NULL,
  public TEXT NOT NULL,            -- 32 raw bytes, base64
  worker TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('bound', 'waiting')),
  reason TEXT NOT NULL,            -- why it is bound, or waits
  first_seen REAL NOT NULL,
  last_seen REAL NOT NULL,
  PRIMARY KEY (token_id, kid)
);
CREATE INDEX device_worker ON device (worker);

-- The token that is handed over to whoever enrols with another one.
CREATE TABLE token_successor (
  token_id TEXT PRIMARY KEY,
  old_token TEXT NOT NULL,
  token TEXT NOT NULL,
  successor_id TEXT NOT NULL,
  created_at REAL NOT NULL,
  taken_at REAL
);
CREATE INDEX token_successor_id ON token_successor (successor_id);

ALTER TABLE enrolled_agent ADD COLUMN token_id TEXT;
ALTER TABLE enrolled_agent ADD COLUMN renew TEXT;  -- wanted, told: that it enrols again

ALTER TABLE signing_key ADD COLUMN introduction TEXT;  -- by an older key; null: the first one
ALTER TABLE signing_key ADD COLUMN retired_at REAL;
