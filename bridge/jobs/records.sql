-- name: one
SELECT job.*, coalesce(job.code, script.content) AS raw_code,
       CASE WHEN queue.started_at IS NOT NULL THEN 'running' ELSE queue.state END AS state, queue.worker AS queue_worker, queue.started_at AS queue_started_at,
       queue.canceled_by AS queue_canceled_by, queue.canceled_reason AS queue_canceled_reason,
       completed.status, completed.result, completed.started_at, completed.completed_at,
       completed.duration_ms, completed.mem_peak_kb, completed.worker, completed.canceled_by,
       completed.canceled_reason, completed.skipped, flow_run.suspend
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
  LEFT JOIN flow_run USING (id)
  LEFT JOIN script ON script.workspace_id = job.workspace_id AND script.hash = job.script_hash
 WHERE job.id = :id AND job.workspace_id = :workspace_id;

-- name: outcome
SELECT CASE WHEN queue.started_at IS NOT NULL THEN 'running' ELSE queue.state END AS state, completed.status, completed.result
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
 WHERE job.id = :id AND job.workspace_id = :workspace_id;

-- name: chain
-- The newest job of a wish that is retried, in one statement: nothing can come between its end and the next.
SELECT job.id, CASE WHEN queue.started_at IS NOT NULL THEN 'running' ELSE queue.state END AS state, completed.status, completed.result, flow_run.early_result
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
  LEFT JOIN flow_run USING (id)
 WHERE (job.id = :id OR job.retry_of = :id) AND job.workspace_id || '' = :workspace_id  -- by no index on this
 ORDER BY job.retries DESC LIMIT 1;

-- name: place
SELECT job.id, job.kind, CASE WHEN queue.started_at IS NOT NULL THEN 'running' ELSE queue.state END AS state, completed.status, completed.mem_peak_kb
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
 WHERE job.id = :id AND job.workspace_id = :workspace_id;

-- name: newest
-- Without code, arguments and result: those may be megabytes each.
SELECT job.id, job.workspace_id, job.kind, job.created_by, job.created_at, job.permissioned_as, job.email,
       job.scheduled_for, job.script_path, job.script_hash, job.language, job.tag, job.priority,
       job.timeout_s, job.delivery, job.lost_after_s, job.replace, job.not_after, job.same_worker, job.parent_job, job.retry_of,
       job.schedule_path, job.flow_step_id, job.root_job, job.flow_innermost_root_job, NULL AS suspend,
       CASE WHEN queue.started_at IS NOT NULL THEN 'running' ELSE queue.state END AS state, queue.worker AS queue_worker, queue.started_at AS queue_started_at,
       queue.canceled_by AS queue_canceled_by, queue.canceled_reason AS queue_canceled_reason,
       completed.status, completed.started_at, completed.completed_at,
       completed.duration_ms, completed.mem_peak_kb, completed.worker, completed.canceled_by,
       completed.canceled_reason, completed.skipped
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
 WHERE job.workspace_id = :workspace_id
   AND (:completed_only = 0 OR completed.id IS NOT NULL)
   AND (CAST(:success AS INTEGER) IS NULL OR :success = CASE WHEN completed.status = 'success' THEN 1 WHEN completed.status IS NOT NULL THEN 0 END)
   AND (CAST(:tag AS TEXT) IS NULL OR job.tag = :tag)
   AND (CAST(:created_by AS TEXT) IS NULL OR job.created_by = :created_by)
   AND (CAST(:script_path_exact AS TEXT) IS NULL OR job.script_path = :script_path_exact)
   AND (CAST(:schedule_path AS TEXT) IS NULL OR job.schedule_path = :schedule_path)
   AND (CAST(:parent_job AS TEXT) IS NULL OR job.parent_job = :parent_job)
   AND (CAST(:job_kinds AS TEXT) IS NULL OR job.kind IN (SELECT key FROM json_each(:job_kinds)))
   AND (CAST(:is_flow_step AS INTEGER) IS NULL OR :is_flow_step = CASE WHEN job.flow_step_id IS NULL THEN 0 ELSE 1 END)
 ORDER BY job.created_at DESC, job.id DESC
 LIMIT :per_page OFFSET :skip;

-- name: newest_queued
-- The same columns, driven by the queue: the many completed jobs are not looked at.
SELECT job.id, job.workspace_id, job.kind, job.created_by, job.created_at, job.permissioned_as, job.email,
       job.scheduled_for, job.script_path, job.script_hash, job.language, job.tag, job.priority,
       job.timeout_s, job.delivery, job.lost_after_s, job.replace, job.not_after, job.same_worker, job.parent_job, job.retry_of,
       job.schedule_path, job.flow_step_id, job.root_job, job.flow_innermost_root_job, NULL AS suspend,
       CASE WHEN queue.started_at IS NOT NULL THEN 'running' ELSE queue.state END AS state, queue.worker AS queue_worker, queue.started_at AS queue_started_at,
       queue.canceled_by AS queue_canceled_by, queue.canceled_reason AS queue_canceled_reason,
       completed.status, completed.started_at, completed.completed_at,
       completed.duration_ms, completed.mem_peak_kb, completed.worker, completed.canceled_by,
       completed.canceled_reason, completed.skipped
  FROM queue
  JOIN job USING (id)
  LEFT JOIN completed USING (id)
 WHERE queue.workspace_id = :workspace_id
   AND (CAST(:running AS INTEGER) IS NULL OR :running = CASE WHEN queue.started_at IS NOT NULL THEN 1 ELSE 0 END)
   AND (CAST(:tag AS TEXT) IS NULL OR job.tag = :tag)
   AND (CAST(:created_by AS TEXT) IS NULL OR job.created_by = :created_by)
   AND (CAST(:script_path_exact AS TEXT) IS NULL OR job.script_path = :script_path_exact)
   AND (CAST(:schedule_path AS TEXT) IS NULL OR job.schedule_path = :schedule_path)
   AND (CAST(:parent_job AS TEXT) IS NULL OR job.parent_job = :parent_job)
   AND (CAST(:job_kinds AS TEXT) IS NULL OR job.kind IN (SELECT key FROM json_each(:job_kinds)))
   AND (CAST(:is_flow_step AS INTEGER) IS NULL OR :is_flow_step = CASE WHEN job.flow_step_id IS NULL THEN 0 ELSE 1 END)
 ORDER BY queue.created_at DESC, queue.id DESC
 LIMIT :per_page OFFSET :skip;

-- name: suspended
-- Flows that wait for somebody's word.
SELECT count(*) FROM queue JOIN flow_run USING (id)
 WHERE queue.workspace_id = :workspace_id AND flow_run.suspend > 0;

-- name: waiting
SELECT count(*) FROM queue
 WHERE workspace_id = :workspace_id AND state != 'running' AND scheduled_for <= :now;
