-- name: pulled_before
-- What this very request got, if its worker runs it still.
SELECT id FROM queue WHERE worker = :worker AND request_id = :request_id AND state = 'running';

-- name: remember
-- In the queue's row, so that it goes with the job.
UPDATE queue SET request_id = :request_id WHERE id = :id;
