-- What the job imports, so that a start knows what has to be here before it; empty: nothing.
ALTER TABLE held ADD COLUMN bundle TEXT NOT NULL DEFAULT '';
