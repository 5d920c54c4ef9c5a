-- name: stand_in_line
-- A request that is sent again waits for its first copy.
SELECT 1;

-- name: stand_in_line for postgresql
SELECT pg_advisory_xact_lock(20306, hashtext(:worker || ' ' || :request_id));

-- name: pulled_before
-- What this very request got, if its worker runs it still.
SELECT id FROM queue WHERE worker = :worker AND request_id = :request_id AND state = 'running';

-- name: remember
-- In the queue's row, so that it goes with the job.
UPDATE queue SET request_id = :request_id WHERE id = :id;
