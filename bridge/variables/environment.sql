-- name: of
SELECT name, value FROM workspace_environment WHERE workspace_id = :workspace_id ORDER BY name;

-- name: of_held
-- For a worker that runs a job of the workspace, and for no other (I4).
SELECT name, value FROM workspace_environment
 WHERE workspace_id = :workspace_id
   AND EXISTS (SELECT 1 FROM queue
                WHERE queue.state = 'running' AND queue.worker = :worker
                  AND queue.workspace_id = :workspace_id)
 ORDER BY name;

-- name: count
SELECT count(*) FROM workspace_environment WHERE workspace_id = :workspace_id;

-- name: set
INSERT INTO workspace_environment (workspace_id, name, value) VALUES (:workspace_id, :name, :value)
ON CONFLICT (workspace_id, name) DO UPDATE SET value = :value;

-- name: unset
DELETE FROM workspace_environment WHERE workspace_id = :workspace_id AND name = :name;
