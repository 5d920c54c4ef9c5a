-- The device keys that tokens are bound to, and those that wait for an admin (DESIGN section 5).
CREATE TABLE device (
  token_id TEXT COLLATE "C" NOT NULL,          -- names the token (`wire.tokens.token_id`)
  kid TEXT COLLATE "C" NOT NULL,
  public TEXT COLLATE "C" NOT NULL,            -- 32 raw bytes, base64
  worker TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('bound', 'waiting')),
  reason TEXT COLLATE "C" NOT NULL,            -- why it is bound, or waits
  first_seen DOUBLE PRECISION NOT NULL,
  last_seen DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (token_id, kid)
);
CREATE INDEX device_worker ON device (worker);

-- The token that is handed over to whoever enrols with another one.
CREATE TABLE token_successor (
  token_id TEXT COLLATE "C" PRIMARY KEY,
  old_token TEXT COLLATE "C" NOT NULL,
  token TEXT COLLATE "C" NOT NULL,
  successor_id TEXT COLLATE "C" NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  taken_at DOUBLE PRECISION
);
CREATE INDEX token_successor_id ON token_successor (successor_id);

ALTER TABLE enrolled_agent ADD COLUMN token_id TEXT COLLATE "C";
ALTER TABLE enrolled_agent ADD COLUMN renew TEXT COLLATE "C";  -- wanted, told: that it enrols again

ALTER TABLE signing_key ADD COLUMN introduction TEXT COLLATE "C";  -- by an older key; null: the first one
ALTER TABLE signing_key ADD COLUMN retired_at DOUBLE PRECISION;
