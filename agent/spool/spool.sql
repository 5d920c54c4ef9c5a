-- name: hold
-- Custody begins when this commits (hop 3, I3). A duplicate changes nothing.
INSERT INTO held (job_id, attempt, tag, state, delivery, priority, max_interruptions, remaining_s, held_at,
                  body, body_crc, bundle)
SELECT :job_id, :attempt, :tag, :state, :delivery, :priority, :max_interruptions, :remaining_s, :held_at,
       :body, :body_crc, :bundle
 WHERE NOT EXISTS (SELECT 1 FROM seen WHERE job_id = :job_id AND attempt = :attempt)
ON CONFLICT DO NOTHING;

-- name: move
-- A step of the state table, already decided by agent/jobs/model.py. A result that came first stands.
UPDATE held SET state = :state, interruptions = :interruptions,
       started_at = coalesce(:started_at, started_at),
       canceled_by = coalesce(:canceled_by, canceled_by), cancel_reason = coalesce(:cancel_reason, cancel_reason)
 WHERE job_id = :job_id AND attempt = :attempt AND state NOT IN ('finished', 'sent');

-- name: finish
-- State and result in one commit (hop 4, I3). The first one stands. It says when the job was started, too.
UPDATE held SET state = :state, result = :result, result_crc = :result_crc, finished_at = :finished_at,
       parts_left = :parts_left, started_sent = 1
 WHERE job_id = :job_id AND attempt = :attempt AND state NOT IN ('finished', 'sent');

-- name: parts_left
-- So many parts of its document are still to be confirmed. A link that is cut then costs what was on its way.
UPDATE held SET parts_left = :parts_left
 WHERE job_id = :job_id AND attempt = :attempt AND state = 'finished';

-- name: sent
-- The broker holds the result now (hop 5); it stays here until the cluster has recorded it.
UPDATE held SET state = :state, sent_at = :sent_at
 WHERE job_id = :job_id AND attempt = :attempt AND state = 'finished';

-- name: oldest_sent
SELECT min(sent_at) AS sent_at FROM held INDEXED BY held_sent WHERE state = 'sent';

-- name: missed
-- What the broker confirmed before then is not on its way any more: all of it leaves again.
UPDATE held SET state = :state, parts_left = -1
 WHERE rowid IN (SELECT rowid FROM held INDEXED BY held_sent
                  WHERE state = 'sent' AND sent_at < :before LIMIT :most);

-- name: accepted_sent
UPDATE held SET accepted_sent = 1 WHERE job_id = :job_id AND attempt = :attempt;

-- name: started_sent
UPDATE held SET started_sent = 1 WHERE job_id = :job_id AND attempt = :attempt;

-- name: reannounce
-- The job was offered again: whoever sent it has not heard that we hold it.
UPDATE held SET accepted_sent = 0 WHERE job_id = :job_id AND attempt = :attempt;

-- name: forget
-- The cluster has recorded the job, or nobody wants it: the row makes room.
DELETE FROM held WHERE job_id = :job_id AND attempt = :attempt RETURNING state;

-- name: forget_log
DELETE FROM log_chunk WHERE job_id = :job_id AND attempt = :attempt RETURNING length(text) AS size;

-- name: remember
-- The dedupe memory outlives the row.
INSERT INTO seen (job_id, attempt, at) VALUES (:job_id, :attempt, :at) ON CONFLICT DO NOTHING;

-- name: seen_after
-- A stretch of the dedupe memory, so that nobody ever reads all of it at once.
SELECT job_id, attempt, at FROM seen WHERE (job_id, attempt) > (:job_id, :attempt)
 ORDER BY job_id, attempt LIMIT :most;

-- name: drop_seen
DELETE FROM seen WHERE job_id = :job_id AND attempt = :attempt;

-- name: open_rows
-- What a start reads: jobs that are not over, and acceptances that the bridge has not confirmed.
SELECT job_id, attempt, tag, state, delivery, priority, max_interruptions, interruptions, remaining_s, held_at,
       accepted_sent, started_at, started_sent, canceled_by, cancel_reason, log_chars, bundle
  FROM held INDEXED BY held_open
 WHERE state NOT IN ('finished', 'sent') OR accepted_sent = 0 ORDER BY held_at;

-- name: one_row
SELECT job_id, attempt, tag, state, delivery, priority, max_interruptions, interruptions, remaining_s, held_at,
       accepted_sent, started_at, started_sent, canceled_by, cancel_reason, log_chars, bundle
  FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: state_of
SELECT state FROM held WHERE job_id = :job_id AND attempt = :attempt;

-- name: ready_results
-- Results that may leave, the best first; the index alone answers.
SELECT rowid FROM held INDEXED BY held_finished
 WHERE state = 'finished' AND parts_left <= 0 ORDER BY -coalesce(priority, 0), held_at LIMIT :most;

-- name: blob_results
-- Results whose documents have parts to send, the best first.
SELECT rowid FROM held INDEXED BY held_blobs
 WHERE state = 'finished' AND parts_left > 0 ORDER BY -coalesce(priority, 0), held_at LIMIT :most;

-- name: kept_result
SELECT job_id, attempt, parts_left, result, result_crc FROM held
 WHERE rowid = :row_id AND state = 'finished';

-- name: count_finished
SELECT count(*) AS jobs, min(finished_at) AS oldest_finished FROM held INDEXED BY held_finished
 WHERE state = 'finished' AND parts_left <= 0;

-- name: count_blobs
SELECT count(*) AS jobs, min(finished_at) AS oldest_finished FROM held INDEXED BY held_blobs
 WHERE state = 'finished' AND parts_left > 0;

-- name: count_sent
SELECT count(*) AS jobs FROM held INDEXED BY held_sent WHERE state = 'sent';

-- name: count_open
SELECT state, count(*) AS jobs FROM held INDEXED BY held_open
 WHERE (state NOT IN ('finished', 'sent') OR accepted_sent = 0) AND state NOT IN ('finished', 'sent')
 GROUP BY state;

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

-- name: is_quarantined
SELECT 1 FROM quarantine WHERE job_id = :job_id AND attempt = :attempt LIMIT 1;

-- name: unreported
SELECT id, job_id, attempt, what FROM quarantine WHERE NOT reported ORDER BY id LIMIT 50;

-- name: reported
UPDATE quarantine SET reported = 1 WHERE id = :id;

-- name: drop_result
-- The result is damaged: the job counts as interrupted, and recovery decides what that means.
UPDATE held SET state = :state, result = NULL, result_crc = NULL, parts_left = -1
 WHERE job_id = :job_id AND attempt = :attempt AND state = 'finished';

-- name: add_log
-- The number is given, because SQLite would give that of a deleted row again.
INSERT INTO log_chunk (id, job_id, attempt, start, text) VALUES (:id, :job_id, :attempt, :start, :text);

-- name: last_log
SELECT coalesce(max(id), 0) AS id FROM log_chunk;

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

-- name: quarantined
SELECT count(*) AS rows FROM quarantine;
