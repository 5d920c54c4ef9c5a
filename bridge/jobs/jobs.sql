-- name: same_id
SELECT 1 FROM job WHERE id = :id;

-- name: insert_job
INSERT INTO job (id, workspace_id, kind, created_by, created_at, permissioned_as, email, scheduled_for,
                 script_path, script_hash, language, code, lock, args, tag, priority, timeout_s,
                 delivery, lost_after_s, replace, not_after, same_worker, parent_job, retry,
                 concurrent_limit, concurrency_time_window_s, concurrency_key, schedule_path,
                 flow_step_id, root_job, flow_innermost_root_job, pre_run_error, flow_version, entrypoint)
VALUES (:id, :workspace_id, :kind, :created_by, :created_at, :permissioned_as, :email, :scheduled_for,
        :script_path, :script_hash, :language, :code, :lock, :args, :tag, :priority, :timeout_s,
        :delivery, :lost_after_s, :replace, :not_after, :same_worker, :parent_job, :retry,
        :concurrent_limit, :concurrency_time_window_s, :concurrency_key, :schedule_path,
        :flow_step_id, :root_job, :flow_innermost_root_job, :pre_run_error, :flow_version,
        :entrypoint);

-- name: insert_queue
INSERT INTO queue (id, workspace_id, tag, priority, scheduled_for, created_at, state, worker, started_at)
VALUES (:id, :workspace_id, :lane, :priority, :scheduled_for, :created_at, :state, :worker, :started_at);

-- name: promote
-- What is due now waits with the rest; keeping the others apart keeps the index of ready jobs in order.
UPDATE queue SET state = 'ready' WHERE state = 'later' AND scheduled_for <= :now RETURNING tag;

-- name: next_due
SELECT min(scheduled_for) FROM queue WHERE state = 'later';

-- name: ready_tags
SELECT DISTINCT tag FROM queue WHERE state = 'ready' AND waits_for IS NULL;

-- name: best_of_tag
-- One tag only: with a list of tags the index no longer gives the order.
-- A flow that has begun is not too late any more.
SELECT queue.id, queue.priority, queue.scheduled_for, queue.created_at,
       CASE WHEN queue.started_at IS NULL THEN job.not_after END AS not_after
  FROM queue JOIN job USING (id)
 WHERE queue.state = 'ready' AND queue.waits_for IS NULL AND queue.tag = :tag
   AND (CAST(:runs AS TEXT) IS NULL OR job.language IS NULL OR :runs LIKE '%,' || job.language || ',%')
 ORDER BY queue.priority DESC NULLS LAST, queue.scheduled_for, queue.created_at
 LIMIT 1;

-- name: lock_best_of_tag
-- The best that no other pull has in hand.
SELECT queue.id, CASE WHEN queue.started_at IS NULL THEN job.not_after END AS not_after, job.concurrency_key
  FROM queue JOIN job USING (id)
 WHERE queue.state = 'ready' AND queue.waits_for IS NULL AND queue.tag = :tag
   AND (CAST(:runs AS TEXT) IS NULL OR job.language IS NULL OR :runs LIKE '%,' || job.language || ',%')
 ORDER BY queue.priority DESC NULLS LAST, queue.scheduled_for, queue.created_at
 LIMIT 1
 FOR UPDATE OF queue SKIP LOCKED;

-- name: take
-- A flow is taken again and again; it started the first time.
UPDATE queue SET state = 'running', worker = :worker, started_at = coalesce(started_at, :now)
 WHERE id = :id AND state = 'ready';

-- name: pulled
SELECT job.id AS job_id, job.workspace_id AS workspace, job.tag, job.language, job.args,
       coalesce(job.code, script.content) AS code, coalesce(job.lock, script.lock) AS lock,
       job.script_path AS path, job.kind, job.timeout_s, job.priority, job.delivery,
       job.lost_after_s, job.replace, job.not_after AS not_after_s, job.created_by, job.created_at AS created_at_s, job.permissioned_as,
       job.concurrent_limit, job.concurrency_time_window_s,
       job.email, job.scheduled_for AS scheduled_for_s, queue.started_at AS started_at_s,
       job.same_worker, job.parent_job, job.flow_step_id, job.root_job, job.flow_innermost_root_job,
       job.pre_run_error, job.entrypoint, parent.script_path AS flow_path, job.schedule_path, queue.canceled_by, queue.canceled_reason, queue.worker,
       queue.restarts + 1 AS attempt
  FROM job
  JOIN queue USING (id)
  LEFT JOIN script ON script.workspace_id = job.workspace_id AND script.hash = job.script_hash
  LEFT JOIN job AS parent ON parent.id = job.parent_job AND job.flow_step_id IS NOT NULL
 WHERE job.id = :id;

-- name: held_same_worker
-- The job a worker queued for itself, for that worker only.
SELECT queue.id FROM queue JOIN job USING (id)
 WHERE queue.id = :id AND queue.worker = :worker AND job.same_worker = 1;

-- name: ping
-- No row: completed, restarted, or another worker's, so the caller is told to let go (fencing).
-- `ids`: a JSON object, by job.
SELECT id, canceled_by, canceled_reason FROM queue
 WHERE id IN (SELECT key FROM json_each(:ids)) AND state = 'running' AND worker = :worker;

-- name: standing
-- Where a job of this workspace stands, and what decides who may speak for it.
SELECT job.kind, job.workspace_id, job.parent_job, job.flow_step_id, job.tag, job.delivery, job.replace, job.same_worker, job.script_path, job.permissioned_as,
       job.created_by, job.schedule_path, queue.state, queue.worker, queue.started_at, queue.restarts,
       queue.canceled_by, queue.canceled_reason, completed.status, completed.worker AS ended_by
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
 WHERE job.id = :id AND coalesce(:workspace_id, job.workspace_id) = job.workspace_id;

-- name: insert_completed
INSERT INTO completed (id, status, result, started_at, completed_at, duration_ms, mem_peak_kb, worker,
                       canceled_by, canceled_reason, skipped)
VALUES (:id, :status, :result, :started_at, :completed_at, :duration_ms, :mem_peak_kb, :worker,
        :canceled_by, :canceled_reason, :skipped);

-- name: note_poison
-- For people, who find it among the dead letters: its custodian, where the bridge carried it.
INSERT INTO dead_letter (fingerprint, kind, came_at, last_at, times, worker, job_id, attempt, reason, bytes)
VALUES (:fingerprint, 'poison', :now, :now, 1,
        coalesce((SELECT max(custodian) FROM ledger WHERE job_id = :id AND state <> 'closed'), :worker, ''),
        :id, :attempt, :reason, 0)
ON CONFLICT (fingerprint) DO NOTHING;

-- name: drop_parts
DELETE FROM result_part WHERE job_id = :id;

-- name: delete_queue
DELETE FROM queue WHERE id = :id;

-- name: flag_canceled
-- The first to cancel is remembered.
UPDATE queue
   SET canceled_by = coalesce(canceled_by, :by), canceled_reason = coalesce(canceled_reason, :reason)
 WHERE id = :id;

-- name: running
-- `keeps`: its worker is an agent of ours, which brings it to a result however long it is cut off.
SELECT queue.id, queue.tag AS lane, job.tag, job.lost_after_s,
       EXISTS (SELECT 1 FROM enrolled_agent WHERE enrolled_agent.worker = queue.worker) AS keeps
  FROM queue JOIN job USING (id)
 WHERE queue.state = 'running' AND queue.worker IS NOT NULL;

-- name: restart
-- A flow that has begun goes on where it stands.
UPDATE queue SET state = 'ready', worker = NULL, restarts = restarts + 1,
       started_at = (SELECT queue.started_at FROM flow_run WHERE flow_run.id = queue.id AND version > 0)
 WHERE id = :id AND state = 'running';

-- name: pulled_by
SELECT id FROM queue WHERE state = 'running' AND worker = :worker;

-- name: put_back
-- Pulled and never begun: no restart that counts.
UPDATE queue SET state = 'ready', worker = NULL,
       started_at = (SELECT queue.started_at FROM flow_run WHERE flow_run.id = queue.id AND version > 0)
 WHERE id = :id AND state = 'running' AND worker = :worker;
