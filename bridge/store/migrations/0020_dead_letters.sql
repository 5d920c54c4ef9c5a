-- What came to nothing, until an operator has decided on it: as the broker's dead letters had it, and poison.
CREATE TABLE dead_letter (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  fingerprint TEXT NOT NULL UNIQUE, -- what comes again is the same letter
  kind TEXT NOT NULL,               -- job, result, message, unrun, returned, poison
  came_at REAL NOT NULL,
  last_at REAL NOT NULL,
  times INTEGER NOT NULL,
  worker TEXT NOT NULL,             -- empty: nobody vouches for its sender
  job_id TEXT NOT NULL,             -- empty: it names none
  attempt INTEGER NOT NULL,
  reason TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  body BLOB                         -- null: not kept, it was a job, or too long
) STRICT;
