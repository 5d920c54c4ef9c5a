-- What jobs import, as agents fetch it where there is no internet. The files are beside the store, by their digests.

-- The locks that jobs came with, by the bundle that each asks for.
CREATE TABLE bundle_lock (
  bundle TEXT COLLATE "C" PRIMARY KEY,
  lock TEXT COLLATE "C" NOT NULL,
  noted_at DOUBLE PRECISION NOT NULL
);

-- Whose jobs need it: an agent reads only what its tags need.
CREATE TABLE bundle_use (
  bundle TEXT COLLATE "C" NOT NULL,
  tag TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (bundle, tag)
);

-- What it consists of on a platform, or why that cannot be had.
CREATE TABLE bundle (
  bundle TEXT COLLATE "C" NOT NULL,
  platform TEXT COLLATE "C" NOT NULL,
  manifest BYTEA,
  error TEXT COLLATE "C",
  made_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (bundle, platform)
);

-- How much of it an agent has, as it last said while it fetched.
CREATE TABLE bundle_progress (
  worker TEXT COLLATE "C" NOT NULL,
  bundle TEXT COLLATE "C" NOT NULL,
  have BIGINT NOT NULL,
  size BIGINT NOT NULL,                -- 0: not known yet
  why TEXT COLLATE "C" NOT NULL,       -- what holds it up; empty: nothing
  at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (worker, bundle)
);

ALTER TABLE enrolled_agent ADD COLUMN platform TEXT COLLATE "C";  -- JSON: its interpreters, libc and machine
