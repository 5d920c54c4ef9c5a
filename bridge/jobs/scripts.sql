-- name: head
-- The one script that answers to a path now.
SELECT * FROM script WHERE workspace_id = :workspace_id AND path = :path AND archived = 0;

-- name: version
SELECT * FROM script WHERE workspace_id = :workspace_id AND hash = :hash;

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
                    lock, schema, timeout_s, priority, delivery, lost_after_s, replace,
                    concurrent_limit, concurrency_time_window_s, concurrency_key, created_by, created_at)
VALUES (:workspace_id, :hash, :path, :parent_hash, :summary, :description, :content, :language, :tag,
        :lock, :schema, :timeout_s, :priority, :delivery, :lost_after_s, :replace,
        :concurrent_limit, :concurrency_time_window_s, :concurrency_key, :created_by, :created_at);
