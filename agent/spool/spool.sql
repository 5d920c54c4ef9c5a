-- name: hold
-- Custody begins when this commits (hop 3, I3). A duplicate changes nothing.
INSERT INTO held (job_id, attempt, tag, state, delivery, priority, max_interruptions, remaining_s, held_at,
                  body, body_crc)
SELECT :job_id, :attempt, :tag, :state, :delivery, :priority, :max_interruptions, :remaining_s, :held_at,
       :body, :body_crc
 WHERE NOT EXISTS (SELECT 1 FROM seen WHERE job_id = :job_id AND attempt = :attempt)
ON CONFLICT DO NOTHING;

-- name: move
-- A step of the state table, already decided by agent/jobs/model.py.
UPDATE held SET state = :state, interruptions = :interruptions,
       started_at = coalesce(:started_at, started_at),
       canceled_by = coalesce(:canceled_by, canceled_by), cancel_reason = coalesce(:cancel_reason, cancel_reason)
 WHERE job_id = :job_id AND attempt = :attempt;

-- name: finish
-- State and result in one commit (hop 4, I3).
UPDATE held SET state = :state, result = :result, result_crc = :result_crc, finished_at = :finished_at
 WHERE job_id = :job_id AND attempt = :attempt;

-- name: sent
-- The broker holds the result now (hop 5); it stays here until the cluster has recorded it.
UPDATE held SET state = :state WHERE job_id = :job_id AND attempt = :attempt;

-- name: accepted_sent
UPDATE held SET accepted_sent = 1 WHERE job_id = :job_id AND attempt = :attempt;

-- name: started_sent
UPDATE held SET started_sent = 1 WHERE job_id = :job_id AND attempt = :attempt;

-- name: reannounce
-- The job was offered again: whoever sent it has not heard that we hold it.
UPDATE held SET accepted_sent = 0 WHERE job_id = :job_id AND attempt = :attempt;

-- name: forget
-- The cluster has recorded the job, or nobody wants it: the row makes room.
DELETE FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: forget_log
DELETE FROM log_chunk WHERE job_id = :job_id AND attempt = :attempt RETURNING length(text) AS size;

-- name: remember
-- The dedupe memory outlives the row.
INSERT INTO seen (job_id, attempt, at) VALUES (:job_id, :attempt, :at) ON CONFLICT DO NOTHING;

-- name: prune_seen
DELETE FROM seen WHERE at < :before;

-- name: all_held
SELECT job_id, attempt, tag, state, delivery, priority, max_interruptions, interruptions, remaining_s, held_at,
       accepted_sent, started_at, started_sent, canceled_by, cancel_reason, log_chars
  FROM held ORDER BY held_at;

-- name: keys
-- From the key's own index: no row is read.
SELECT job_id, attempt FROM held;

-- name: log_size
-- What the log's bound has to reckon with at start.
SELECT coalesce(sum(length(text)), 0) AS size FROM log_chunk;

-- name: body
SELECT body, body_crc FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: result
SELECT result, result_crc FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: quarantine
INSERT INTO quarantine (at, job_id, attempt, what, bytes, crc)
VALUES (:at, :job_id, :attempt, :what, :bytes, :crc);

-- name: quarantined_keys
SELECT job_id, attempt FROM quarantine;

-- name: unreported
SELECT id, job_id, attempt, what FROM quarantine WHERE NOT reported ORDER BY id LIMIT 50;

-- name: reported
UPDATE quarantine SET reported = 1 WHERE id = :id;

-- name: drop_result
-- The result is damaged: the job counts as interrupted, and recovery decides what that means.
UPDATE held SET state = :state, result = NULL, result_crc = NULL WHERE job_id = :job_id AND attempt = :attempt;

-- name: add_log
INSERT INTO log_chunk (job_id, attempt, start, text) VALUES (:job_id, :attempt, :start, :text);

-- name: log_length
UPDATE held SET log_chars = :log_chars WHERE job_id = :job_id AND attempt = :attempt;

-- name: pending_log
SELECT id, job_id, attempt, start, text FROM log_chunk ORDER BY id LIMIT :most;

-- name: log_sent
DELETE FROM log_chunk WHERE id = :id;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: counts
SELECT state, count(*) AS jobs, min(finished_at) AS oldest_finished
  FROM held GROUP BY state;

-- name: quarantined
SELECT count(*) AS rows FROM quarantine;
