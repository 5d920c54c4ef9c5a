-- name: keep
-- The first that came with its document stays.
INSERT INTO quarantined_result (job_id, attempt, worker, came_at, result, document, link)
VALUES (:job_id, :attempt, :worker, :now, :result, :document, :link)
ON CONFLICT (job_id, attempt, worker) DO UPDATE
   SET document = coalesce(quarantined_result.document, excluded.document)
 WHERE quarantined_result.decision IS NULL;

-- name: listed
SELECT job_id, attempt, worker, came_at, link, length(document) AS bytes, decision, decided_by, decided_at,
       wish, refusal,
       CASE WHEN EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = quarantined_result.job_id AND state <> 'closed')
              OR link = 'http' AND EXISTS (SELECT 1 FROM queue WHERE queue.id = quarantined_result.job_id)
            THEN 1 ELSE 0 END AS may_accept
  FROM quarantined_result ORDER BY came_at DESC;

-- name: undecided
SELECT result, document, link FROM quarantined_result
 WHERE job_id = :job_id AND attempt = :attempt AND worker = :worker AND decision IS NULL;

-- name: standing
SELECT decision, refusal, document IS NOT NULL AS is_whole FROM quarantined_result
 WHERE job_id = :job_id AND attempt = :attempt AND worker = :worker;

-- name: used
-- What waits of one worker's.
SELECT count(*) AS results, coalesce(sum(length(document)), 0) AS bytes FROM quarantined_result
 WHERE worker = :worker AND decision IS NULL;

-- name: decide
UPDATE quarantined_result
   SET decision = :decision, decided_by = :by, decided_at = :now, document = NULL, wish = NULL, refusal = NULL
 WHERE job_id = :job_id AND attempt = :attempt AND worker = :worker;

-- name: wish
-- Of the command line; the bridge that leads carries it out.
UPDATE quarantined_result SET wish = :wish, refusal = NULL
 WHERE job_id = :job_id AND attempt = :attempt AND worker = :worker AND decision IS NULL AND document IS NOT NULL;

-- name: wishes
SELECT job_id, attempt, worker, wish FROM quarantined_result WHERE wish IS NOT NULL ORDER BY came_at LIMIT :most;

-- name: refuse
UPDATE quarantined_result SET wish = NULL, refusal = :reason
 WHERE job_id = :job_id AND attempt = :attempt AND worker = :worker;

-- name: prune
DELETE FROM quarantined_result WHERE came_at < :before;
