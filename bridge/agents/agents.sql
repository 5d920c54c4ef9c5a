-- name: ping
-- NULL keeps what was known. A ping of a worker that we never saw start makes its row too.
INSERT INTO worker (worker, worker_group, worker_instance, ip, version, tags, started_at, pinged_at,
                    jobs_executed, last_job_id, last_job_workspace_id, occupancy_rate, occupancy_rate_15s,
                    occupancy_rate_5m, occupancy_rate_30m, vcpus, memory, memory_usage, wm_memory_usage,
                    job_isolation, native_mode)
VALUES (:worker, :worker_group, coalesce(:worker_instance, ''), coalesce(:ip, ''), coalesce(:version, ''),
        :tags, :now, :now, coalesce(:jobs_executed, 0), :last_job_executed, :last_job_workspace_id,
        :occupancy_rate, :occupancy_rate_15s, :occupancy_rate_5m, :occupancy_rate_30m, :vcpus, :memory,
        :memory_usage, :wm_memory_usage, :job_isolation, :native_mode)
ON CONFLICT (worker) DO UPDATE SET
  worker_instance = coalesce(:worker_instance, worker.worker_instance),
  ip = coalesce(:ip, worker.ip),
  version = coalesce(:version, worker.version),
  tags = :tags,
  pinged_at = :now,
  jobs_executed = coalesce(:jobs_executed, worker.jobs_executed),
  last_job_id = coalesce(:last_job_executed, worker.last_job_id),
  last_job_workspace_id = coalesce(:last_job_workspace_id, worker.last_job_workspace_id),
  occupancy_rate = coalesce(:occupancy_rate, worker.occupancy_rate),
  occupancy_rate_15s = coalesce(:occupancy_rate_15s, worker.occupancy_rate_15s),
  occupancy_rate_5m = coalesce(:occupancy_rate_5m, worker.occupancy_rate_5m),
  occupancy_rate_30m = coalesce(:occupancy_rate_30m, worker.occupancy_rate_30m),
  vcpus = coalesce(:vcpus, worker.vcpus),
  memory = coalesce(:memory, worker.memory),
  memory_usage = coalesce(:memory_usage, worker.memory_usage),
  wm_memory_usage = coalesce(:wm_memory_usage, worker.wm_memory_usage),
  job_isolation = coalesce(:job_isolation, worker.job_isolation),
  native_mode = coalesce(:native_mode, worker.native_mode);

-- name: heard
UPDATE worker SET pinged_at = :now WHERE worker = :worker;

-- name: forget
-- A restarted agent has a new name, so old rows would pile up (I6).
DELETE FROM worker WHERE pinged_at < :before;

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
