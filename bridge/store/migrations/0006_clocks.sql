-- Times of a site stay as its own clock had them; beside them, by how much that clock was ahead of ours.
ALTER TABLE ledger ADD COLUMN finished_at REAL;         -- wall seconds of the site
ALTER TABLE ledger ADD COLUMN clock_offset_ms INTEGER;  -- the site's wall clock minus ours, when it finished
ALTER TABLE enrolled_agent ADD COLUMN clock_offset_ms INTEGER;
