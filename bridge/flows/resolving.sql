-- name: result
SELECT result FROM completed WHERE id = :id;

-- name: results
-- Of a module's children that have ended, in order.
SELECT flow_child.position, completed.result
  FROM flow_child JOIN completed ON completed.id = flow_child.job_id
 WHERE flow_child.flow_id = :flow_id AND flow_child.module_id = :module_id AND flow_child.round = :round
 ORDER BY flow_child.position;

-- name: args
SELECT args FROM job WHERE id = :id;

-- name: item
SELECT value FROM flow_item
 WHERE flow_id = :flow_id AND module_id = :module_id AND round = :round AND position = :position;

-- name: level
-- A flow's state, and the flow above it.
SELECT flow_run.status, job.parent_job, job.flow_step_id
  FROM flow_run JOIN job USING (id) WHERE flow_run.id = :id;
