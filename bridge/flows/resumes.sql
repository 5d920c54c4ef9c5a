-- name: job
-- A step after which a flow waits, or a flow.
SELECT job.id, job.kind, job.parent_job, job.flow_step_id, queue.id AS queued, parent.id AS parent_open
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN queue AS parent ON parent.id = job.parent_job
 WHERE job.id = :id AND job.workspace_id = :workspace_id;

-- name: used
SELECT 1 FROM flow_resume WHERE id = :id;

-- name: add
INSERT INTO flow_resume (id, job_id, resume_id, payload, approver, approved, at)
VALUES (:id, :job_id, :resume_id, :payload, :approver, :approved, :now);

-- name: waits
-- The flow's own state: which step it waits after.
SELECT flow_run.status, flow_run.suspend
  FROM flow_run JOIN queue USING (id) JOIN job USING (id)
 WHERE flow_run.id = :id AND job.workspace_id = :workspace_id;

-- name: numbers
SELECT resume_id FROM flow_resume WHERE job_id = :job_id;
