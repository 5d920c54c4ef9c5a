-- name: one
SELECT * FROM variable WHERE workspace_id = :workspace_id AND path = :path;

-- name: add
INSERT INTO variable (workspace_id, path, value, is_secret, description, offline)
VALUES (:workspace_id, :path, :value, :is_secret, :description, :offline);

-- name: change
UPDATE variable SET path = :new_path, value = :value, is_secret = :is_secret, description = :description,
       offline = :offline
 WHERE workspace_id = :workspace_id AND path = :path;

-- name: remove
DELETE FROM variable WHERE workspace_id = :workspace_id AND path = :path;

-- name: listed
-- A secret's value stays where it is, even sealed.
SELECT workspace_id, path, CASE WHEN is_secret = 1 THEN NULL ELSE value END AS value, is_secret, description, offline
  FROM variable
 WHERE workspace_id = :workspace_id AND substr(path, 1, length(:path_start)) = :path_start
 ORDER BY path
 LIMIT :per_page OFFSET :skip;

-- name: any_secret
SELECT 1 FROM variable WHERE is_secret = 1 LIMIT 1;

-- name: setting
SELECT value FROM setting WHERE name = :name;

-- name: set
INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value;
