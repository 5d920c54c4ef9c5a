-- name: one
SELECT * FROM resource WHERE workspace_id = :workspace_id AND path = :path;

-- name: add
INSERT INTO resource (workspace_id, path, value, resource_type, description, offline, created_by, edited_at)
VALUES (:workspace_id, :path, :value, :resource_type, :description, coalesce(:offline, 0), :created_by, :now);

-- name: change
UPDATE resource
   SET path = coalesce(:new_path, path), value = coalesce(:value, value),
       resource_type = coalesce(:resource_type, resource_type),
       description = coalesce(:description, description), offline = coalesce(:offline, offline),
       state_since = CASE WHEN CAST(:value AS TEXT) IS NULL THEN state_since ELSE :now END, edited_at = :now
 WHERE workspace_id = :workspace_id AND path = :path
RETURNING path;

-- name: remove
DELETE FROM resource WHERE workspace_id = :workspace_id AND path = :path RETURNING path;

-- name: listed
-- Without the values: those may be megabytes each.
SELECT workspace_id, path, resource_type, description, offline, created_by, edited_at
  FROM resource
 WHERE workspace_id = :workspace_id AND substr(path, 1, length(:path_start)) = :path_start
   AND resource_type = coalesce(:resource_type, resource_type)
   AND (CAST(:resource_type_exclude AS TEXT) IS NULL OR resource_type != :resource_type_exclude)
 ORDER BY path
 LIMIT :per_page OFFSET :skip;

-- name: one_type
SELECT * FROM resource_type WHERE workspace_id = :workspace_id AND name = :name;

-- name: types
SELECT * FROM resource_type WHERE workspace_id = :workspace_id ORDER BY name;

-- name: add_type
INSERT INTO resource_type (workspace_id, name, schema, description, created_by, edited_at)
VALUES (:workspace_id, :name, :schema, :description, :created_by, :now);

-- name: change_type
UPDATE resource_type
   SET schema = coalesce(:schema, schema), description = coalesce(:description, description), edited_at = :now
 WHERE workspace_id = :workspace_id AND name = :name
RETURNING name;

-- name: remove_type
DELETE FROM resource_type WHERE workspace_id = :workspace_id AND name = :name RETURNING name;
