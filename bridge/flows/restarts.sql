-- name: former
SELECT job.kind, job.script_path, job.flow_version, job.tag, job.priority, job.timeout_s, job.args,
       job.concurrent_limit, job.concurrency_time_window_s, job.concurrency_key, flow_run.status, flow_value.value
  FROM flow_run
  JOIN flow_value ON flow_value.hash = flow_run.value_hash
  JOIN job USING (id)
 WHERE flow_run.id = :id AND job.workspace_id = :workspace_id;

-- name: children
SELECT position, job_id FROM flow_child
 WHERE flow_id = :id AND module_id = :module_id AND round = :round AND position < :below
 ORDER BY position;
