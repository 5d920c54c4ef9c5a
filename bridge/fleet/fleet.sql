-- name: enrolled
-- Who has enrolled, whatever its link is. `standing` is of the token that it used last.
SELECT enrolled_agent.worker, worker_group, enrolled_agent.tags, version, slots, held, running, backlog,
       backlog_age_s, spool_bytes, spool_most_bytes, drained, drained_by, enrolled_at, last_heard, next_s, left_at,
       clock_offset_ms, languages, enrolled_agent.token_id, agent_token.standing, agent_token.expires_at
  FROM enrolled_agent LEFT JOIN agent_token ON agent_token.token_id = enrolled_agent.token_id
 ORDER BY worker_group, enrolled_agent.worker;

-- name: pinging
-- Who pings over HTTP: agents with that link, and normal workers; of these each start may have another name.
SELECT worker, worker_group, tags, version, started_at, pinged_at FROM worker
 WHERE pinged_at >= :since AND (worker LIKE 'ag-%' OR pinged_at >= :normal_since)
 ORDER BY worker_group, worker;

-- name: running_over_http
SELECT worker, count(*) AS jobs FROM queue WHERE state = 'running' AND worker IS NOT NULL GROUP BY worker;

-- name: titles
SELECT worker_group, title FROM group_title;

-- name: set_title
INSERT INTO group_title (worker_group, title) VALUES (:worker_group, :title)
ON CONFLICT (worker_group) DO UPDATE SET title = excluded.title;

-- name: drop_title
DELETE FROM group_title WHERE worker_group = :worker_group;

-- name: drain
UPDATE enrolled_agent SET drained_by = :by WHERE worker = :worker;

-- name: to_tell
-- Agents that are there and do not do yet what was asked of them.
SELECT worker, drained_by FROM enrolled_agent
 WHERE last_heard > :since AND left_at IS NULL
   AND CASE WHEN drained_by IS NULL THEN 0 ELSE 1 END <> coalesce(drained, 0);

-- name: silent
-- Whose outage begins. What is read first is written rarely: a bridge that hangs holds no lock for it.
SELECT worker, coalesce(left_at, last_heard) AS down_at, CASE WHEN left_at IS NULL THEN 0 ELSE 1 END AS on_purpose
  FROM enrolled_agent
 WHERE (left_at IS NOT NULL OR last_heard < :now - (2 * coalesce(next_s, :ping_s) + :patience_s))
   AND coalesce(left_at, last_heard) > :since
   AND NOT EXISTS (SELECT 1 FROM link_outage AS known
                    WHERE known.worker = enrolled_agent.worker AND known.up_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.worker = enrolled_agent.worker AND worker.pinged_at > :http);

-- name: silent_over_http
SELECT worker, pinged_at AS down_at, 0 AS on_purpose FROM worker
 WHERE pinged_at <= :http AND pinged_at > :since
   AND NOT EXISTS (SELECT 1 FROM link_outage AS known WHERE known.worker = worker.worker AND known.up_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM enrolled_agent AS edge
                    WHERE edge.worker = worker.worker AND edge.last_heard > :http);

-- name: heard_again
SELECT worker, max(heard) AS up_at FROM (
  SELECT link_outage.worker, last_heard AS heard FROM link_outage JOIN enrolled_agent
      ON enrolled_agent.worker = link_outage.worker
   WHERE up_at IS NULL AND left_at IS NULL AND last_heard > down_at
  UNION ALL
  SELECT link_outage.worker, pinged_at FROM link_outage JOIN worker ON worker.worker = link_outage.worker
   WHERE up_at IS NULL AND pinged_at > down_at) AS known
 GROUP BY worker;

-- name: begin_outage
INSERT INTO link_outage (worker, down_at, on_purpose) VALUES (:worker, :down_at, :on_purpose)
ON CONFLICT DO NOTHING;

-- name: end_outage
UPDATE link_outage SET up_at = :up_at WHERE worker = :worker AND up_at IS NULL AND down_at < :up_at;

-- name: any_outage_to_forget
SELECT 1 FROM link_outage WHERE up_at < :before OR (up_at IS NULL AND down_at < :long_before) LIMIT 1;

-- name: forget_outages
-- One that has no end yet is kept as long as a worker that never comes back (I6).
DELETE FROM link_outage WHERE up_at < :before OR (up_at IS NULL AND down_at < :long_before);

-- name: outages
SELECT worker, down_at, up_at, on_purpose FROM link_outage
 WHERE up_at IS NULL OR up_at > :since ORDER BY worker, down_at;

-- name: done_while_down
-- Jobs by worker and stretch of time, by our clock: the site's may be wrong, and says by how much.
SELECT custodian AS worker,
       CAST((finished_at - coalesce(clock_offset_ms, 0) / 1000.0 - :since) / :step_s AS BIGINT) AS place,
       count(*) AS jobs
  FROM ledger
 WHERE finished_while_down = 1 AND closed_at > :since AND custodian IS NOT NULL
   AND finished_at - coalesce(clock_offset_ms, 0) / 1000.0 >= :since
 GROUP BY 1, 2;

-- name: uncounted
-- Agents that were there lately and are not counted in this month yet.
SELECT worker FROM (
  SELECT worker FROM enrolled_agent WHERE last_heard > :since
  UNION
  SELECT worker FROM worker WHERE pinged_at > :since AND worker LIKE 'ag-%') AS known
 WHERE NOT EXISTS (SELECT 1 FROM worker_month WHERE month = :month AND worker_month.worker = known.worker);

-- name: note_month
INSERT INTO worker_month (month, worker) VALUES (:month, :worker) ON CONFLICT DO NOTHING;

-- name: months
SELECT month, count(*) AS workers FROM worker_month GROUP BY month ORDER BY month DESC LIMIT :most;

-- name: forget_months
DELETE FROM worker_month WHERE month < :before;

-- name: own_script
-- The newest run of one kind of script of a worker's own (agent-api.md 6).
SELECT job.id, job.created_at, completed.status, completed.duration_ms
  FROM job LEFT JOIN completed ON completed.id = job.id
 WHERE job.same_worker = 1 AND job.created_by = :worker AND job.tag = :tag
 ORDER BY job.created_at DESC LIMIT 1;
