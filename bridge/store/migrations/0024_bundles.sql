-- What jobs import, as agents fetch it where there is no internet. The files are beside the store, by their digests.

-- The locks that jobs came with, by the bundle that each asks for.
CREATE TABLE bundle_lock (
  bundle TEXT PRIMARY KEY,
  lock TEXT NOT NULL,
  noted_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose jobs need it: an agent reads only what its tags need.
CREATE TABLE bundle_use (
  bundle TEXT NOT NULL,
  tag TEXT NOT NULL,
  PRIMARY KEY (bundle, tag)
) STRICT, WITHOUT ROWID;

-- What it consists of on a platform, or why that cannot be had.
CREATE TABLE bundle (
  bundle TEXT NOT NULL,
  platform TEXT NOT NULL,
  manifest BLOB,
  error TEXT,
  made_at REAL NOT NULL,
  PRIMARY KEY (bundle, platform)
) STRICT, WITHOUT ROWID;

-- How much of it an agent has, as it last said while it fetched.
CREATE TABLE bundle_progress (
  worker TEXT NOT NULL,
  bundle TEXT NOT NULL,
  have INTEGER NOT NULL,
  size INTEGER NOT NULL,  -- 0: not known yet
  why TEXT NOT NULL,      -- what holds it up; empty: nothing
  at REAL NOT NULL,
  PRIMARY KEY (worker, bundle)
) STRICT, WITHOUT ROWID;

ALTER TABLE enrolled_agent ADD COLUMN platform TEXT;  -- JSON: its interpreters, libc and machine
