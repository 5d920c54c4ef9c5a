-- name: head
-- The one version that answers to a path now.
SELECT * FROM flow WHERE workspace_id = :workspace_id AND path = :path AND archived = 0;

-- name: newest
-- Archived or not.
SELECT * FROM flow WHERE workspace_id = :workspace_id AND path = :path ORDER BY version DESC LIMIT 1;

-- name: version
SELECT * FROM flow WHERE workspace_id = :workspace_id AND version = :version;

-- name: heads
SELECT * FROM flow
 WHERE workspace_id = :workspace_id AND archived = 0
   AND path = coalesce(:path_exact, path)
   AND substr(path, 1, length(:path_start)) = :path_start
 ORDER BY created_at DESC, version DESC
 LIMIT :per_page OFFSET :skip;

-- name: archive
UPDATE flow SET archived = 1 WHERE workspace_id = :workspace_id AND path = :path AND archived = 0;

-- name: revive
UPDATE flow SET archived = 0 WHERE version = :version;

-- name: rename
UPDATE flow SET path = :new_path WHERE workspace_id = :workspace_id AND path = :path;

-- name: delete
-- Runs have their own copy of what they run.
DELETE FROM flow WHERE workspace_id = :workspace_id AND path = :path;

-- name: insert
INSERT INTO flow (workspace_id, path, summary, description, value, schema, tag, timeout_s, created_by, created_at)
VALUES (:workspace_id, :path, :summary, :description, :value, :schema, :tag, :timeout_s, :created_by, :created_at)
RETURNING version;

-- name: set_value
UPDATE flow SET value = :value WHERE version = :version;
