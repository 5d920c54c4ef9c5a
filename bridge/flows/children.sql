-- name: parent
-- What a step has from its flow.
SELECT id, workspace_id, kind, created_by, permissioned_as, email, tag FROM job WHERE id = :id;
