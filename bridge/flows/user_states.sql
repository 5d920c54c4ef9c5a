-- name: of
SELECT value FROM flow_user_state WHERE flow_id = :flow_id AND key = :key;

-- name: set
INSERT INTO flow_user_state (flow_id, key, value) VALUES (:flow_id, :key, :value)
ON CONFLICT (flow_id, key) DO UPDATE SET value = :value;

-- name: flow
SELECT 1 FROM flow_run JOIN job USING (id) WHERE id = :flow_id AND job.workspace_id = :workspace_id;

-- name: count
SELECT count(*) FROM flow_user_state WHERE flow_id = :flow_id;
