-- name: keep
-- A job that was handed out earlier does not overwrite what a later one has set.
INSERT INTO script_state (workspace, path, value, job_id, attempt, since)
VALUES (:workspace, :path, :value, :job_id, :attempt, :since)
ON CONFLICT (workspace, path) DO UPDATE
   SET value = excluded.value, job_id = excluded.job_id, attempt = excluded.attempt, since = excluded.since
 WHERE excluded.since >= script_state.since;

-- name: drop_oldest
DELETE FROM script_state
 WHERE (SELECT count(*) FROM script_state) > :most
   AND since = (SELECT min(since) FROM script_state);

-- name: one
SELECT value, since FROM script_state WHERE workspace = :workspace AND path = :path;

-- name: set_by
SELECT workspace, path, value FROM script_state WHERE job_id = :job_id AND attempt = :attempt;
