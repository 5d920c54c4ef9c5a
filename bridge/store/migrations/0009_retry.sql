-- A failed job is followed by a new one. All jobs of one wish name its first in `retry_of`.
ALTER TABLE job ADD COLUMN retry TEXT;  -- the policy, JSON; NULL: none
ALTER TABLE job ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;  -- how many jobs failed before this one
ALTER TABLE job ADD COLUMN retry_of TEXT;
CREATE INDEX job_retries ON job (retry_of, retries) WHERE retry_of IS NOT NULL;
