-- name: one
SELECT * FROM schedule WHERE workspace_id = :workspace_id AND path = :path;

-- name: add
INSERT INTO schedule (workspace_id, path, schedule, timezone, script_path, is_flow, args, enabled, summary, description,
                      tag, retry, no_flow_overlap, paused_until, edited_by, edited_at, email, next_tick)
VALUES (:workspace_id, :path, :schedule, :timezone, :script_path, :is_flow, :args, :enabled, :summary, :description,
        :tag, :retry, :no_flow_overlap, :paused_until, :edited_by, :edited_at, :email, :next_tick);

-- name: change
UPDATE schedule
   SET schedule = :schedule, timezone = :timezone, is_flow = coalesce(:is_flow, is_flow), args = :args, summary = :summary,
       description = :description, tag = :tag, retry = :retry, no_flow_overlap = :no_flow_overlap,
       paused_until = :paused_until, edited_by = :edited_by, edited_at = :edited_at, email = :email,
       error = NULL, next_tick = CASE enabled WHEN 1 THEN :next_tick END
 WHERE workspace_id = :workspace_id AND path = :path
RETURNING path;

-- name: enable
UPDATE schedule
   SET enabled = :enabled, edited_by = :edited_by, edited_at = :edited_at, email = :email,
       next_tick = :next_tick
 WHERE workspace_id = :workspace_id AND path = :path;

-- name: remove
DELETE FROM schedule WHERE workspace_id = :workspace_id AND path = :path RETURNING path;

-- name: listed
SELECT * FROM schedule
 WHERE workspace_id = :workspace_id AND substr(path, 1, length(:path_start)) = :path_start
   AND script_path = coalesce(:script_path, script_path) AND is_flow = coalesce(:is_flow, is_flow)
 ORDER BY edited_at DESC, path LIMIT :per_page OFFSET :skip;

-- name: due
SELECT * FROM schedule WHERE next_tick <= :now ORDER BY next_tick LIMIT :at_most;

-- name: next_tick
SELECT min(next_tick) FROM schedule WHERE next_tick IS NOT NULL;

-- name: is_in_the_way
-- The job of an earlier tick waits still, or may not be overlapped and is not over, its retries included. A flow
-- that was begun waits for its steps, not for a worker.
SELECT EXISTS (SELECT 1 FROM queue WHERE id = :last_job AND (started_at IS NULL OR :no_flow_overlap = 1))
    OR (:no_flow_overlap = 1
        AND EXISTS (SELECT 1 FROM job JOIN queue USING (id) WHERE job.retry_of = :last_job)) AS answer;

-- name: advance
UPDATE schedule SET next_tick = :next_tick, last_job = coalesce(:job_id, last_job), error = :error
 WHERE workspace_id = :workspace_id AND path = :path;
