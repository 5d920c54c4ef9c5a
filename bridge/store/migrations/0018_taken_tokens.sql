-- What a foreign cluster last said of a token that it took once: for a time in which it is away, and for the other
-- bridges of this store. Never the token itself.
CREATE TABLE taken_token (
  bearer TEXT PRIMARY KEY,         -- SHA-256 of what an agent sends, without its ticket
  token_id TEXT NOT NULL,
  expires_at REAL NOT NULL,
  asked_at REAL NOT NULL,          -- when the cluster last took it, ten minutes late at most
  is_good INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX taken_token_id ON taken_token (token_id);
CREATE INDEX taken_token_asked ON taken_token (asked_at);
CREATE INDEX taken_token_refused ON taken_token (token_id) WHERE is_good = 0;
