-- name: limit_of
SELECT job.concurrency_key, job.concurrent_limit, job.concurrency_time_window_s, queue.waits_for
  FROM job JOIN queue USING (id)
 WHERE job.id = :id AND job.concurrency_key IS NOT NULL;

-- name: taken
-- By others: a job that a worker lost has kept its place.
SELECT count(*) FROM concurrency_slot WHERE concurrency_key = :concurrency_key AND job_id <> :id;

-- name: occupy
INSERT INTO concurrency_slot (job_id, concurrency_key) VALUES (:id, :concurrency_key)
ON CONFLICT (job_id) DO NOTHING;

-- name: hold_back
UPDATE queue SET waits_for = :concurrency_key, met_limit = :concurrent_limit WHERE id = :id;

-- name: keep
-- The job has ended, and its place stays taken until its window is over.
UPDATE concurrency_slot SET free_at = :free_at WHERE job_id = :id AND free_at IS NULL;

-- name: free
DELETE FROM concurrency_slot WHERE job_id = :id AND free_at IS NULL;

-- name: free_due
DELETE FROM concurrency_slot WHERE free_at <= :now RETURNING concurrency_key;

-- name: next_free
-- Only where somebody waits for it.
SELECT min(free_at) FROM concurrency_slot
 WHERE free_at IS NOT NULL AND EXISTS (SELECT 1 FROM queue WHERE waits_for = concurrency_key);

-- name: let_in
-- The best of those that wait for the key may stand in line again: one of each tag, because a tag may have no
-- worker, and of each limit, because scripts that share a key may allow it different numbers.
UPDATE queue SET waits_for = NULL
 WHERE id IN (
   SELECT id FROM (
     SELECT id, row_number() OVER (
              PARTITION BY tag, met_limit ORDER BY priority DESC NULLS LAST, scheduled_for, created_at) AS place
       FROM queue WHERE waits_for = :concurrency_key) AS ranked
    WHERE place = 1)
RETURNING tag;
