-- What came to nothing, until an operator has decided on it: as the broker's dead letters had it, and poison.
CREATE TABLE dead_letter (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  fingerprint TEXT COLLATE "C" NOT NULL UNIQUE, -- what comes again is the same letter
  kind TEXT COLLATE "C" NOT NULL,               -- job, result, message, unrun, returned, poison
  came_at DOUBLE PRECISION NOT NULL,
  last_at DOUBLE PRECISION NOT NULL,
  times BIGINT NOT NULL,
  worker TEXT COLLATE "C" NOT NULL,             -- empty: nobody vouches for its sender
  job_id TEXT COLLATE "C" NOT NULL,             -- empty: it names none
  attempt BIGINT NOT NULL,
  reason TEXT COLLATE "C" NOT NULL,
  bytes BIGINT NOT NULL,
  body BYTEA                                    -- null: not kept, it was a job, or too long
);
