-- name: hold_back
-- Nobody has accepted it. What an agent refused that has been sent to another since is that one's.
UPDATE ledger SET state = 'taken', published_at = NULL, waits_for = :language,
       directed_to = CASE WHEN directed_to = :by THEN NULL ELSE directed_to END
 WHERE job_id = :job_id AND attempt = :attempt AND state IN ('taken', 'published') AND custodian IS NULL
   AND (:by = '' OR directed_to IS NULL OR directed_to = :by);

-- name: held_back
SELECT job_id, attempt, body, directed_to FROM ledger
 WHERE tag = :tag AND waits_for = :language AND state = 'taken' ORDER BY taken_at LIMIT :most;

-- name: held_back_of
SELECT tag, waits_for, count(*) AS jobs FROM ledger
 WHERE waits_for IS NOT NULL AND state = 'taken' GROUP BY tag, waits_for;

-- name: who_runs
-- Of those that are there: what waits for one that is away may be run by another that comes first. One that told
-- nothing of its languages knows no job that comes by its control queue.
SELECT worker FROM (
  SELECT worker, (SELECT count(*) FROM ledger WHERE directed_to = enrolled_agent.worker AND state <> 'closed') AS jobs
    FROM enrolled_agent LEFT JOIN agent_token USING (token_id)
   WHERE last_heard > :there AND left_at IS NULL AND drained_by IS NULL AND languages IS NOT NULL
     AND coalesce(standing, '') NOT IN ('revoked', 'expired')
     AND EXISTS (SELECT 1 FROM json_each(enrolled_agent.tags) AS held WHERE held.value = :tag)
     AND EXISTS (SELECT 1 FROM json_each(enrolled_agent.languages) AS runs WHERE runs.value = :language)) AS able
 WHERE jobs < :window
 ORDER BY jobs, worker;

-- name: who_runs for postgresql
SELECT worker FROM (
  SELECT worker, (SELECT count(*) FROM ledger WHERE directed_to = enrolled_agent.worker AND state <> 'closed') AS jobs
    FROM enrolled_agent LEFT JOIN agent_token USING (token_id)
   WHERE last_heard > :there AND left_at IS NULL AND drained_by IS NULL AND languages IS NOT NULL
     AND coalesce(standing, '') NOT IN ('revoked', 'expired')
     AND enrolled_agent.tags::jsonb @> to_jsonb(CAST(:tag AS TEXT))
     AND languages::jsonb @> to_jsonb(CAST(:language AS TEXT))) AS able
 WHERE jobs < :window
 ORDER BY jobs, worker;

-- name: directed
UPDATE ledger SET published_at = :now, directed_to = :worker, waits_for = NULL,
       state = CASE state WHEN 'taken' THEN 'published' ELSE state END
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed';

-- name: direct_again
-- It goes out again as the same attempt, and to the same agent if that has a place: the first acceptance counts.
UPDATE ledger SET state = 'taken', published_at = NULL
 WHERE directed_to = :worker AND state = 'published' AND published_at <= :before;
