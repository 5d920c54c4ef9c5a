-- name: keys_after
-- A stretch of what is held, from the key's own index: no row is read.
SELECT job_id, attempt FROM held WHERE (job_id, attempt) > (:job_id, :attempt)
 ORDER BY job_id, attempt LIMIT :most;

-- name: finished_keys
SELECT job_id, attempt FROM held INDEXED BY held_finished WHERE state = 'finished' AND parts_left <= 0
UNION ALL
SELECT job_id, attempt FROM held INDEXED BY held_blobs WHERE state = 'finished' AND parts_left > 0;

-- name: sent_keys
SELECT job_id, attempt FROM held INDEXED BY held_sent WHERE state = 'sent';

-- name: keys_with_log
SELECT DISTINCT job_id, attempt FROM log_chunk;

-- name: last_attempt
-- For a cluster that does not number its hand-outs: what is held of a job, and what was brought to its end.
SELECT coalesce((SELECT max(attempt) FROM held WHERE job_id = :job_id), 0) AS held,
       coalesce((SELECT max(attempt) FROM seen WHERE job_id = :job_id), 0) AS seen;

-- name: oldest_unsent
SELECT min(finished_at) AS finished_at FROM (
  SELECT min(finished_at) AS finished_at FROM held INDEXED BY held_finished
   WHERE state = 'finished' AND parts_left <= 0
  UNION ALL
  SELECT min(finished_at) FROM held INDEXED BY held_blobs WHERE state = 'finished' AND parts_left > 0);
