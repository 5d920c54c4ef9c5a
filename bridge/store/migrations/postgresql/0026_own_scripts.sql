-- The newest run of a worker's init or periodic script is found among all jobs without reading any other.
CREATE INDEX job_own_script ON job (created_by, tag, created_at DESC) WHERE same_worker = 1;
