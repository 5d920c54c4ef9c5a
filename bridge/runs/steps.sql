-- name: flow
-- A flow's own state and what it runs.
SELECT flow_run.status, flow_run.suspend, flow_run.wakes_at, flow_value.value, job.workspace_id,
       completed.status AS ended
  FROM flow_run
  JOIN flow_value ON flow_value.hash = flow_run.value_hash
  JOIN job USING (id)
  LEFT JOIN completed USING (id)
 WHERE flow_run.id = :id;

-- name: children
-- All of them, the retried ones too, with how each stands.
SELECT flow_child.module_id, flow_child.round, flow_child.position, flow_child.job_id, job.tag,
       completed.status, completed.skipped, completed.duration_ms,
       coalesce(completed.started_at, queue.started_at) AS started_at, completed.completed_at
  FROM flow_child
  JOIN job ON job.id = flow_child.job_id
  LEFT JOIN queue ON queue.id = flow_child.job_id
  LEFT JOIN completed ON completed.id = flow_child.job_id
 WHERE flow_child.flow_id = :id
 ORDER BY flow_child.module_id, flow_child.round, flow_child.position;

-- name: child_page
-- The newest round of one module's children, from a position on; all, or those that have not ended.
SELECT flow_child.position, flow_child.job_id, job.tag, completed.status, completed.skipped,
       completed.duration_ms, queue.started_at, queue.state
  FROM flow_child
  JOIN job ON job.id = flow_child.job_id
  LEFT JOIN queue ON queue.id = flow_child.job_id
  LEFT JOIN completed ON completed.id = flow_child.job_id
 WHERE flow_child.flow_id = :id AND flow_child.module_id = :module_id AND flow_child.position >= :first
   AND flow_child.round = (SELECT max(round) FROM flow_child AS newest
                            WHERE newest.flow_id = :id AND newest.module_id = :module_id)
   AND (CAST(:open_only AS INTEGER) = 0 OR completed.status IS NULL)
 ORDER BY flow_child.position LIMIT :most;
