-- name: keep
-- The job is in the queue still: it knows since when it was with its worker.
INSERT INTO resource (workspace_id, path, value, resource_type, description, created_by, edited_at, state_since)
SELECT job.workspace_id, :path, :value, 'state', '', job.created_by, :now, coalesce(queue.started_at, job.created_at)
  FROM job JOIN queue USING (id)
 WHERE job.id = :id
ON CONFLICT (workspace_id, path) DO UPDATE
   SET value = excluded.value, edited_at = excluded.edited_at, state_since = excluded.state_since
 WHERE resource.resource_type = 'state' AND excluded.state_since >= coalesce(resource.state_since, 0);

-- name: last
-- One that a person set counts from then on.
SELECT value, coalesce(state_since, edited_at) AS since FROM resource
 WHERE workspace_id = :workspace_id AND path = :path AND resource_type = 'state';
