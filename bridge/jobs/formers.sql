-- name: note
INSERT INTO former_worker (job_id, attempt, worker, at) VALUES (:job_id, :attempt, :worker, :now)
ON CONFLICT (job_id, attempt) DO UPDATE SET worker = excluded.worker, at = excluded.at, distrusted = 0;

-- name: distrust
-- The token of this worker was revoked: what was taken from it, now or before, it may no longer end.
UPDATE former_worker SET distrusted = 1 WHERE worker = :worker AND distrusted = 0;

-- name: is_distrusted
SELECT 1 FROM former_worker WHERE job_id = :job_id AND worker = :worker AND distrusted = 1 LIMIT 1;

-- name: forget
DELETE FROM former_worker WHERE at < :before;

-- name: last_attempt
-- The last one of the job that this worker has, or that was taken from it; null: none. With `attempt` only that one.
SELECT max(attempt) AS attempt FROM (
  SELECT restarts + 1 AS attempt FROM queue WHERE id = :job_id AND state = 'running' AND worker = :worker
  UNION ALL
  SELECT attempt FROM former_worker WHERE job_id = :job_id AND worker = :worker) AS had
 WHERE (CAST(:attempt AS INTEGER) IS NULL OR attempt = :attempt)
   AND EXISTS (SELECT 1 FROM job WHERE id = :job_id AND workspace_id = :workspace_id);
