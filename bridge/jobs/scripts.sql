-- name: head
-- The one script that answers to a path now.
SELECT * FROM script WHERE workspace_id = :workspace_id AND path = :path AND archived = 0;

-- name: version
SELECT * FROM script WHERE workspace_id = :workspace_id AND hash = :hash;

-- name: runnable
-- The newest version of a path that has its lock; one that no job was to resolve needs none.
SELECT * FROM script
 WHERE workspace_id = :workspace_id AND path = :path AND (lock IS NOT NULL OR lock_job IS NULL)
 ORDER BY archived, created_at DESC, hash
 LIMIT 1;

-- name: lock_job
-- Whether the job that is to resolve a lock may still do so.
SELECT queue.state, completed.status FROM job LEFT JOIN queue USING (id) LEFT JOIN completed USING (id)
 WHERE job.id = :id;

-- name: heads
SELECT * FROM script
 WHERE workspace_id = :workspace_id AND archived = 0
   AND path = coalesce(:path_exact, path)
   AND substr(path, 1, length(:path_start)) = :path_start
 ORDER BY created_at DESC, hash
 LIMIT :per_page OFFSET :skip;

-- name: archive
UPDATE script SET archived = 1 WHERE workspace_id = :workspace_id AND path = :path AND archived = 0;

-- name: insert
INSERT INTO script (workspace_id, hash, path, parent_hash, summary, description, content, language, tag,
                    lock, lock_given, schema, timeout_s, priority, delivery, lost_after_s, replace,
                    concurrent_limit, concurrency_time_window_s, concurrency_key, created_by, created_at)
VALUES (:workspace_id, :hash, :path, :parent_hash, :summary, :description, :content, :language, :tag,
        :lock, :lock_given, :schema, :timeout_s, :priority, :delivery, :lost_after_s, :replace,
        :concurrent_limit, :concurrency_time_window_s, :concurrency_key, :created_by, :created_at);
