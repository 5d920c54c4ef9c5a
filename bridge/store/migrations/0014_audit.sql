-- What superadmins did. `hash` covers the row and the hash before it, so no row changes or goes unseen.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  username TEXT NOT NULL,
  operation TEXT NOT NULL,
  resource TEXT NOT NULL,
  parameters TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
