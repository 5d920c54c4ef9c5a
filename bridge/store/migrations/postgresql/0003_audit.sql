-- What superadmins did. `hash` covers the row and the hash before it, so no row changes or goes unseen.
CREATE TABLE audit (
  id BIGINT PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  username TEXT NOT NULL,
  operation TEXT NOT NULL,
  resource TEXT NOT NULL,
  parameters TEXT NOT NULL,
  hash TEXT NOT NULL
);
