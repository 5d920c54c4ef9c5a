-- name: note
-- Only while the flow goes on: of one that has ended nobody would take it.
INSERT INTO flow_event (flow_id, what, job_id, ok, skipped, stopped, handled)
SELECT :flow_id, :what, :job_id, :ok, :skipped, :stopped, :handled FROM queue WHERE id = :flow_id;

-- name: wake
-- Parked: with no worker, or until a time. One that waits for its first time is left alone.
UPDATE queue SET state = 'ready', worker = NULL,
       scheduled_for = (SELECT job.scheduled_for FROM job WHERE job.id = queue.id)
 WHERE id = :flow_id
   AND (state = 'running' AND worker IS NULL OR state = 'later' AND started_at IS NOT NULL)
RETURNING tag;

-- name: open_children
SELECT flow_child.job_id, flow_child.module_id, flow_child.round, job.kind, queue.state, queue.started_at,
       queue.worker
  FROM flow_child
  JOIN job ON job.id = flow_child.job_id
  JOIN queue ON queue.id = flow_child.job_id
 WHERE flow_child.flow_id = :flow_id AND job.parent_job = :flow_id
 ORDER BY flow_child.job_id;

-- name: drop_events
DELETE FROM flow_event WHERE flow_id = :flow_id;

-- name: drop_items
DELETE FROM flow_item WHERE flow_id = :flow_id;

-- name: changed
UPDATE flow_run SET version = version + 1 WHERE id = :flow_id;

-- name: keep_value
INSERT INTO flow_value (hash, value) VALUES (:hash, :value) ON CONFLICT (hash) DO NOTHING;

-- name: begin
INSERT INTO flow_run (id, value_hash, status, version, again, suspend) VALUES (:id, :hash, :status, 0, 1, 0);

-- name: add_child
INSERT INTO flow_child (flow_id, module_id, round, position, job_id)
VALUES (:flow_id, :module_id, :round, :position, :job_id);
