-- name: parent
-- What a step has from its flow.
SELECT id, workspace_id, kind, created_by, permissioned_as, email, tag FROM job WHERE id = :id;

-- name: former
-- The job that a new one is to try again.
SELECT job_id FROM flow_child
 WHERE flow_id = :flow_id AND module_id = :module_id AND round = :round AND position = :position;
