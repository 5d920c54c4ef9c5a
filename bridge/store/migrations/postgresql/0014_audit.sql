-- What superadmins did. `hash` covers the row and the hash before it, so no row changes or goes unseen.
CREATE TABLE audit (
  id BIGINT PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  username TEXT COLLATE "C" NOT NULL,
  operation TEXT COLLATE "C" NOT NULL,
  resource TEXT COLLATE "C" NOT NULL,
  parameters TEXT COLLATE "C" NOT NULL,
  hash TEXT COLLATE "C" NOT NULL
);
