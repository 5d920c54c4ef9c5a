-- name: remember
INSERT INTO resolved_lock (lock_hash, language, hashes, resolved_at) VALUES (:lock_hash, :language, :hashes, :now)
ON CONFLICT (lock_hash) DO UPDATE SET hashes = excluded.hashes, resolved_at = excluded.resolved_at;

-- name: hashes
SELECT hashes FROM resolved_lock WHERE lock_hash = :lock_hash;

-- name: content
-- Of the script that answers to a path now.
SELECT content, language FROM script WHERE workspace_id = :workspace_id AND path = :path AND archived = 0;

-- name: version
SELECT workspace_id, hash, path, content, language, lock, lock_given, lock_job, lock_error_logs, archived
  FROM script WHERE workspace_id = :workspace_id AND hash = :hash;

-- name: set_lock
UPDATE script SET lock = :lock, lock_job = :job_id, lock_error_logs = NULL
 WHERE workspace_id = :workspace_id AND hash = :hash;

-- name: await_lock
-- The newest job that is to resolve it; its lock of before stays until then.
UPDATE script SET lock_job = :job_id, lock_error_logs = NULL WHERE workspace_id = :workspace_id AND hash = :hash;

-- name: resolved
-- By the newest of its jobs only: what an older one found is of an older time.
UPDATE script SET lock = :lock, lock_error_logs = NULL
 WHERE workspace_id = :workspace_id AND hash = :hash AND lock_job = :job_id AND lock_given = 0;

-- name: not_resolved
-- A lock of before stays: runs go on with what worked.
UPDATE script SET lock_error_logs = :error
 WHERE workspace_id = :workspace_id AND hash = :hash AND lock_job = :job_id AND lock_given = 0;

-- name: forget_imports
DELETE FROM script_import WHERE workspace_id = :workspace_id AND importer = :importer;

-- name: note_import
INSERT INTO script_import (workspace_id, importer, imported) VALUES (:workspace_id, :importer, :imported)
ON CONFLICT DO NOTHING;

-- name: importers
-- Whose lock may be another one once this path has a new version.
SELECT script.hash, script.path, script.content, script.language, script.lock_given
  FROM script_import
  JOIN script ON script.workspace_id = script_import.workspace_id AND script.path = script_import.importer
 WHERE script_import.workspace_id = :workspace_id AND script_import.imported = :imported
   AND script.archived = 0
 ORDER BY script.path;

-- name: job
SELECT job.workspace_id, job.kind, job.script_hash, job.script_path, job.args, completed.status
  FROM job LEFT JOIN completed USING (id) WHERE job.id = :id;

-- name: await_flow_lock
INSERT INTO flow_lock (version, job_id) VALUES (:version, :job_id)
ON CONFLICT (version) DO UPDATE SET job_id = excluded.job_id, error = NULL;

-- name: flow_lock
SELECT job_id, error FROM flow_lock WHERE version = :version;

-- name: end_flow_lock
-- NULL: all steps have their locks.
UPDATE flow_lock SET error = :error WHERE version = :version AND job_id = :job_id;
