-- name: head
SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1;

-- name: append
INSERT INTO audit (id, at, username, operation, resource, parameters, hash)
VALUES (:id, :at, :username, :operation, :resource, :parameters, :hash);

-- name: listed
SELECT id, at, username, operation, resource, parameters, hash FROM audit
 ORDER BY id DESC LIMIT :per_page OFFSET :skip;

-- name: after
SELECT id, at, username, operation, resource, parameters, hash FROM audit
 WHERE id > :id ORDER BY id LIMIT :at_most;
