-- name: list
SELECT job_id, attempt, tag, state, held_at, finished_at, interruptions,
       length(body) + coalesce(length(result), 0) AS size
  FROM held WHERE :state IS NULL OR state = :state ORDER BY state, held_at;

-- name: list_quarantine
SELECT id, job_id, attempt, at, what, reported, coalesce(length(bytes), 0) AS size FROM quarantine ORDER BY id;

-- name: whole_rows
SELECT job_id, attempt, state, body, body_crc, result, result_crc FROM held;

-- name: count_rows
SELECT count(*) AS rows FROM held;

-- name: is_held
SELECT 1 FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: results
SELECT job_id, attempt, tag, state, result, result_crc FROM held WHERE state IN ('finished', 'sent')
 ORDER BY finished_at;

-- name: count_exported
SELECT (SELECT count(*) FROM held WHERE state IN ('finished', 'sent')) + (SELECT count(*) FROM quarantine) AS rows;

-- name: quarantine
SELECT * FROM quarantine ORDER BY id;

-- name: attempts_of
SELECT attempt, state FROM held WHERE job_id = :job_id ORDER BY attempt;

-- name: send_again
-- The reporter takes what is finished; the bridge knows a result that it has by its job and attempt.
UPDATE held SET state = 'finished', parts_left = -1 WHERE state = 'sent' AND (:job_id IS NULL OR job_id = :job_id);

-- name: count_unsent
SELECT count(*) AS jobs FROM held WHERE state = 'finished' AND (:job_id IS NULL OR job_id = :job_id);

-- name: hold_again
INSERT INTO held (job_id, attempt, tag, state, delivery, priority, max_interruptions, remaining_s, held_at,
                  body, body_crc)
VALUES (:job_id, :attempt, :tag, 'ready', :delivery, :priority, :max_interruptions, :remaining_s, :held_at,
        :body, :body_crc)
ON CONFLICT DO NOTHING;

-- name: drop_quarantined
DELETE FROM quarantine WHERE id = :id;

-- name: purge_quarantine
DELETE FROM quarantine WHERE reported OR :force;

-- name: count_unreported
SELECT count(*) AS rows FROM quarantine WHERE NOT reported;

-- name: purge_seen
DELETE FROM seen WHERE at < :before;

-- name: purge_job
DELETE FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: remember
INSERT INTO seen (job_id, attempt, at) VALUES (:job_id, :attempt, :at) ON CONFLICT DO NOTHING;

-- name: purge_log
DELETE FROM log_chunk WHERE job_id = :job_id AND attempt = :attempt;

-- name: lived
SELECT value FROM meta WHERE key = :key;

-- name: held_ids
SELECT rowid FROM held;

-- name: held_row
SELECT rowid AS id, job_id, attempt, body, body_crc, result, result_crc FROM held WHERE rowid = :id;

-- name: seal_held
UPDATE held SET body = :body, body_crc = :body_crc, result = :result, result_crc = :result_crc WHERE rowid = :id;

-- name: quarantine_ids
SELECT id FROM quarantine;

-- name: quarantine_row
SELECT id, job_id, attempt, bytes, crc FROM quarantine WHERE id = :id;

-- name: seal_quarantine
UPDATE quarantine SET bytes = :bytes, crc = :crc WHERE id = :id;

-- name: log_ids
SELECT id FROM log_chunk;

-- name: log_row
SELECT id, job_id, attempt, start, text FROM log_chunk WHERE id = :id;

-- name: seal_log
UPDATE log_chunk SET text = :text WHERE id = :id;

-- name: meta_ids
SELECT key FROM meta;

-- name: meta_row
SELECT key AS id, value FROM meta WHERE key = :id;

-- name: seal_meta
UPDATE meta SET value = :value WHERE key = :id;

-- name: state_ids
SELECT id FROM script_state;

-- name: state_row
SELECT id, workspace, path, value FROM script_state WHERE id = :id;

-- name: seal_state
UPDATE script_state SET value = :value WHERE id = :id;

-- name: tables
-- Their names and how they are made: no content.
SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name;

-- name: row_counts
SELECT 'held' AS name, count(*) AS rows FROM held
UNION ALL SELECT 'log_chunk', count(*) FROM log_chunk
UNION ALL SELECT 'seen', count(*) FROM seen
UNION ALL SELECT 'quarantine', count(*) FROM quarantine
UNION ALL SELECT 'meta', count(*) FROM meta
UNION ALL SELECT 'script_state', count(*) FROM script_state;

-- name: state_counts
SELECT state, count(*) AS rows FROM held GROUP BY state ORDER BY state;
