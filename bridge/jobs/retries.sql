-- name: policy
SELECT retry, retries, coalesce(retry_of, id) AS first FROM job WHERE id = :id AND retry IS NOT NULL;

-- name: again
-- The failed job once more, with the arguments it had: a child of the first.
INSERT INTO job (id, workspace_id, kind, created_by, created_at, permissioned_as, email, scheduled_for,
                 script_path, script_hash, language, code, lock, args, tag, priority, timeout_s, delivery,
                 lost_after_s, replace, not_after, same_worker, parent_job, retry, retries, retry_of,
                 concurrent_limit, concurrency_time_window_s, concurrency_key, schedule_path)
SELECT :new_id, workspace_id, kind, created_by, :now, permissioned_as, email, :scheduled_for,
       script_path, script_hash, language, code, lock, args, tag, priority, timeout_s, delivery,
       lost_after_s, replace, not_after, same_worker, :first, retry, retries + 1, :first,
       concurrent_limit, concurrency_time_window_s, concurrency_key, schedule_path
  FROM job WHERE id = :id;

-- name: queue
INSERT INTO queue (id, workspace_id, tag, priority, scheduled_for, created_at, state)
SELECT id, workspace_id, tag, priority, scheduled_for, created_at, 'later' FROM job WHERE id = :new_id;
