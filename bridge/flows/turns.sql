-- name: run
-- A flow as it stands; nothing, once it has ended.
SELECT flow_run.version, flow_run.status, flow_run.again, flow_run.wakes_at, flow_value.value,
       job.id, job.workspace_id, job.kind, job.tag, job.script_path, job.priority, job.parent_job, job.flow_step_id,
       job.root_job, job.flow_innermost_root_job, job.created_at, job.scheduled_for, job.permissioned_as, job.email,
       job.created_by, job.timeout_s, queue.worker, queue.started_at, queue.canceled_by, queue.canceled_reason
  FROM flow_run
  JOIN flow_value ON flow_value.hash = flow_run.value_hash
  JOIN job ON job.id = flow_run.id
  JOIN queue ON queue.id = flow_run.id
 WHERE flow_run.id = :id;

-- name: next_event
SELECT flow_event.at, flow_event.what, flow_event.job_id, flow_event.ok, flow_event.skipped, flow_event.stopped,
       flow_event.handled, flow_child.module_id, flow_child.round, flow_child.position
  FROM flow_event
  LEFT JOIN flow_child ON flow_child.job_id = flow_event.job_id AND flow_child.flow_id = flow_event.flow_id
 WHERE flow_event.flow_id = :id
 ORDER BY flow_event.at LIMIT 1;

-- name: next_cancel
SELECT at FROM flow_event WHERE flow_id = :id AND what = 'canceled' ORDER BY at LIMIT 1;

-- name: drop_event
DELETE FROM flow_event WHERE at = :at;

-- name: drop_events_of
DELETE FROM flow_event WHERE flow_id = :id AND job_id = :job_id;

-- name: save
-- It got on, so its deaths so far count no more.
UPDATE flow_run SET status = :status, version = version + 1, again = :again, wakes_at = :wakes_at, suspend = :suspend,
       early_result = :early_result
 WHERE id = :id;

-- name: got_on
UPDATE queue SET restarts = 0 WHERE id = :id AND restarts <> 0;

-- name: park
-- It waits for its steps, with no worker; or for a time, and then for its steps too.
UPDATE queue SET state = CASE WHEN CAST(:wakes_at AS DOUBLE PRECISION) IS NULL THEN 'running' ELSE 'later' END,
       scheduled_for = coalesce(:wakes_at, scheduled_for), worker = NULL, restarts = 0
 WHERE id = :id;

-- name: keep_item
INSERT INTO flow_item (flow_id, module_id, round, position, value)
VALUES (:flow_id, :module_id, :round, :position, :value);

-- name: set_args
UPDATE job SET args = :args, tag = :tag WHERE id = :id;

-- name: own_tag
-- As its deployed flow has it, before any argument is put in.
SELECT flow.tag FROM job JOIN flow ON flow.version = job.flow_version WHERE job.id = :id;

-- name: words
-- For this step, and for the whole flow what no step has taken.
SELECT resume_id, approved, approver, payload FROM flow_resume
 WHERE job_id = :job_id OR job_id = :flow_id ORDER BY at, id;

-- name: take_words
UPDATE flow_resume SET job_id = :job_id WHERE job_id = :flow_id;

-- name: early_result
SELECT early_result FROM flow_run WHERE id = :id;
