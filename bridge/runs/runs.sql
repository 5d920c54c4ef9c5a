-- name: where
-- In which workspace a job is.
SELECT workspace_id FROM job WHERE id = :id;

-- name: workspaces
SELECT id FROM workspace ORDER BY CASE id WHEN 'main' THEN 0 ELSE 1 END, id;

-- name: recent
-- Of the newest `scan` jobs before a place in the list, those that were asked for. Without code and documents.
SELECT job.id, job.created_at, job.script_path, job.kind, job.language, job.tag, job.created_by,
       job.scheduled_for, job.schedule_path, job.parent_job, job.flow_step_id, queue.state, queue.worker AS queue_worker,
       queue.started_at AS queue_started_at, queue.canceled_by AS asked_by, queue.waits_for,
       completed.status, completed.completed_at, completed.duration_ms, completed.worker AS ended_by,
       job_progress.percent
  FROM (SELECT id FROM job
         WHERE workspace_id = :workspace AND created_at <= :before_at AND (created_at, id) < (:before_at, :before_id)
         ORDER BY created_at DESC, id DESC LIMIT :scan) AS seen
  JOIN job USING (id)
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
  LEFT JOIN job_progress ON job_progress.job_id = job.id
 WHERE (CAST(:state AS TEXT) IS NULL OR :state = completed.status)
   AND (job.flow_step_id IS NULL OR CAST(:with_steps AS INTEGER) = 1)
   AND (CAST(:tag AS TEXT) IS NULL OR job.tag = :tag)
   AND (CAST(:path AS TEXT) IS NULL OR job.script_path LIKE :path)
   AND (CAST(:created_by AS TEXT) IS NULL OR job.created_by = :created_by)
   AND (CAST(:worker AS TEXT) IS NULL OR completed.worker = :worker OR queue.worker = :worker
        OR EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = job.id AND ledger.custodian = :worker))
 ORDER BY job.created_at DESC, job.id DESC LIMIT :most;

-- name: recent_open
-- The same columns, driven by the queue: the many completed jobs are not looked at.
SELECT job.id, job.created_at, job.script_path, job.kind, job.language, job.tag, job.created_by,
       job.scheduled_for, job.schedule_path, job.parent_job, job.flow_step_id, queue.state, queue.worker AS queue_worker,
       queue.started_at AS queue_started_at, queue.canceled_by AS asked_by, queue.waits_for,
       NULL AS status, NULL AS completed_at, NULL AS duration_ms, NULL AS ended_by,
       job_progress.percent
  FROM (SELECT id FROM queue
         WHERE workspace_id = :workspace AND created_at <= :before_at AND (created_at, id) < (:before_at, :before_id)
           AND (CAST(:state AS TEXT) IS NULL OR state = :state)
         ORDER BY created_at DESC, id DESC LIMIT :scan) AS seen
  JOIN job USING (id)
  JOIN queue USING (id)
  LEFT JOIN job_progress ON job_progress.job_id = job.id
 WHERE (CAST(:tag AS TEXT) IS NULL OR job.tag = :tag)
   AND (job.flow_step_id IS NULL OR CAST(:with_steps AS INTEGER) = 1)
   AND (CAST(:path AS TEXT) IS NULL OR job.script_path LIKE :path)
   AND (CAST(:created_by AS TEXT) IS NULL OR job.created_by = :created_by)
   AND (CAST(:worker AS TEXT) IS NULL OR queue.worker = :worker
        OR EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = job.id AND ledger.custodian = :worker))
 ORDER BY job.created_at DESC, job.id DESC LIMIT :most;

-- name: scanned_to
-- The oldest job that `recent` has looked at.
SELECT created_at, id FROM job
 WHERE workspace_id = :workspace AND created_at <= :before_at AND (created_at, id) < (:before_at, :before_id)
 ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET :scan;

-- name: custody_of
-- `ids`: a JSON object, by job. Of each the newest attempt comes last.
SELECT job_id, attempt, state, custodian, started_at, outcome FROM ledger
 WHERE job_id IN (SELECT key FROM json_each(:ids)) ORDER BY attempt;

-- name: job
SELECT job.id, job.workspace_id, job.created_at, job.created_by, job.scheduled_for, job.script_path, job.script_hash,
       job.kind, job.language, job.tag, job.priority, job.timeout_s, job.delivery, job.lost_after_s, job.replace,
       job.not_after, job.schedule_path, job.retry_of, job.retries, job.concurrency_key,
       job.parent_job, job.flow_step_id, job.root_job, job.flow_version,
       queue.state, queue.worker AS queue_worker, queue.started_at AS queue_started_at, queue.restarts,
       queue.canceled_by AS asked_by, queue.canceled_reason AS asked_reason, queue.waits_for, queue.met_limit,
       completed.status, completed.started_at, completed.completed_at, completed.duration_ms,
       completed.mem_peak_kb, completed.worker AS ended_by, completed.canceled_by, completed.canceled_reason,
       job_progress.percent
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
  LEFT JOIN job_progress ON job_progress.job_id = job.id
 WHERE job.id = :id;

-- name: lock
SELECT coalesce(job.lock, script.lock) AS lock
  FROM job LEFT JOIN script ON script.workspace_id = job.workspace_id AND script.hash = job.script_hash
 WHERE job.id = :id;

-- name: supply
-- What an agent still fetches of what the job imports.
SELECT have, size, why FROM bundle_progress
 WHERE worker = :worker AND bundle = :bundle AND at > :since AND (size = 0 OR have < size);

-- name: texts
-- At most so many characters of each; and how many there are.
SELECT substr(job.args, 1, CAST(:most AS INTEGER)) AS args, length(job.args) AS args_chars,
       substr(coalesce(job.code, script.content), 1, CAST(:most AS INTEGER)) AS code,
       length(coalesce(job.code, script.content)) AS code_chars
  FROM job LEFT JOIN script ON script.workspace_id = job.workspace_id AND script.hash = job.script_hash
 WHERE job.id = :id;

-- name: result
SELECT substr(result, 1, CAST(:most AS INTEGER)) AS text, length(result) AS chars, status FROM completed WHERE id = :id;

-- name: attempts
SELECT attempt, state, taken_at, published_at, custodian, accepted_at, started_at, finished_at, clock_offset_ms,
       result_at, closed_at, outcome, late, revoked, finished_while_down, cancel_sent, waits_for
  FROM ledger WHERE job_id = :id ORDER BY attempt;

-- name: figures
SELECT (SELECT count(*) FROM ledger WHERE state IN ('taken', 'published') AND tag = :tag) AS waiting,
       (SELECT count(*) FROM concurrency_slot WHERE concurrency_key = :concurrency_key) AS in_key,
       (SELECT count(*) FROM blob_part WHERE job_id = :id) + (SELECT count(*) FROM result_part WHERE job_id = :id)
         AS parts,
       (SELECT coalesce(max(part_count), 0) FROM blob_part WHERE job_id = :id) AS parts_of,
       (SELECT count(*) FROM quarantined_result WHERE job_id = :id AND decision IS NULL) AS quarantined,
       (SELECT id FROM job AS next WHERE next.retry_of = :first AND next.retries = :retries + 1) AS retried_as;

-- name: ahead
-- Ready jobs of the tag that are handed out before this one; a thousand are many enough.
SELECT count(*) AS jobs FROM (
  SELECT 1 FROM queue
   WHERE state = 'ready' AND waits_for IS NULL AND tag = :tag AND id <> :id
     AND (coalesce(priority, -99999) > :priority
          OR (coalesce(priority, -99999) = :priority
              AND (scheduled_for, created_at) < (:scheduled_for, :created_at)))
   LIMIT 1000) AS better;

-- name: log_length
SELECT chars FROM log_head WHERE job_id = :id;
