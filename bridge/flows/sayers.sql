-- name: as_step
-- The flow that waits after this job, which is a step of it.
SELECT flow.created_by, flow_value.value, job.flow_step_id AS step_id
  FROM job
  JOIN job AS flow ON flow.id = job.parent_job
  JOIN flow_run ON flow_run.id = flow.id
  JOIN flow_value ON flow_value.hash = flow_run.value_hash
 WHERE job.id = :id AND job.workspace_id = :workspace_id AND job.flow_step_id IS NOT NULL;

-- name: as_flow
-- The flow that this job is; it may be a step of another too.
SELECT job.created_by, flow_value.value
  FROM job
  JOIN flow_run ON flow_run.id = job.id
  JOIN flow_value ON flow_value.hash = flow_run.value_hash
 WHERE job.id = :id AND job.workspace_id = :workspace_id;
