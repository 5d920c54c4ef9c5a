-- name: heard_since
-- Who pings over HTTP, and who is linked over the broker: those are heard by the relay, and never ping.
SELECT worker, worker_group, worker_instance, ip, version, tags, started_at, pinged_at, jobs_executed,
       last_job_id, last_job_workspace_id, occupancy_rate, occupancy_rate_15s, occupancy_rate_5m,
       occupancy_rate_30m, vcpus, memory, memory_usage, wm_memory_usage, job_isolation, native_mode
  FROM worker WHERE pinged_at >= :since
UNION ALL
SELECT worker, worker_group, '', '', coalesce(version, ''), tags, enrolled_at, last_heard, 0,
       NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, 'none', 0
  FROM enrolled_agent AS edge
 WHERE last_heard >= :since AND left_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.worker = edge.worker AND worker.pinged_at >= :since)
 ORDER BY worker_group, worker LIMIT :per_page OFFSET :skip;

-- name: tags_heard_since
SELECT tags FROM worker WHERE pinged_at >= :since
UNION
SELECT tags FROM enrolled_agent WHERE last_heard >= :since AND left_at IS NULL;

-- name: script_held
-- The code of a job that this worker runs: an agent may read no other (I4).
SELECT script.content, script.lock, script.language, script.schema
  FROM queue
  JOIN job USING (id)
  JOIN script ON script.workspace_id = job.workspace_id AND script.hash = job.script_hash
 WHERE queue.state = 'running' AND queue.worker = :worker AND job.script_hash = :hash
 LIMIT 1;

-- name: held
-- Where a job stands for a worker that says that it holds it; `attempt` counts the times it was handed out.
SELECT queue.state, queue.worker, queue.restarts + 1 AS attempt, queue.canceled_by, queue.canceled_reason
  FROM job LEFT JOIN queue USING (id)
 WHERE job.id = :id;

-- name: given_to
SELECT id, restarts + 1 AS attempt, request_id FROM queue WHERE state = 'running' AND worker = :worker;

-- name: drained
SELECT worker FROM enrolled_agent WHERE drained_by IS NOT NULL;
