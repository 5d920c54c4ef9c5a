-- name: keep
-- The same once more, be it that it came again or that we died before we said so, only counts.
INSERT INTO dead_letter (fingerprint, kind, came_at, last_at, times, worker, job_id, attempt, reason, bytes, body)
VALUES (:fingerprint, :kind, :now, :now, 1, :worker, :job_id, :attempt, :reason, :bytes, :body)
ON CONFLICT (fingerprint) DO UPDATE SET times = dead_letter.times + 1, last_at = excluded.last_at;

-- name: forget
-- The oldest (I6). They are what is left of something, never the custody of a job or a result.
DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter ORDER BY id DESC LIMIT 1000 OFFSET :most);

-- name: listed
-- Newest first, without bodies. `open_attempt`: the job that it names is out, and nobody may have accepted it.
SELECT id, kind, came_at, last_at, times, worker, job_id, attempt, reason, bytes,
       CASE WHEN body IS NULL THEN 0 ELSE 1 END AS has_body,
       (SELECT max(attempt) FROM ledger WHERE ledger.job_id = dead_letter.job_id AND ledger.state <> 'closed')
         AS open_attempt,
       (SELECT max(custodian) FROM ledger WHERE ledger.job_id = dead_letter.job_id AND ledger.state <> 'closed')
         AS custodian
  FROM dead_letter
 WHERE id < :before AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind)
   AND (CAST(:worker AS TEXT) IS NULL OR worker = :worker)
 ORDER BY id DESC LIMIT :most;

-- name: counts
SELECT kind, count(*) AS letters FROM dead_letter GROUP BY kind;

-- name: one
SELECT id, kind, worker, job_id, attempt, reason, body FROM dead_letter WHERE id = :id;

-- name: discard
DELETE FROM dead_letter WHERE id = :id;

-- name: discard_all
-- Of those that somebody has seen: none that came since.
DELETE FROM dead_letter
 WHERE id <= :upto AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind)
   AND (CAST(:worker AS TEXT) IS NULL OR worker = :worker);
