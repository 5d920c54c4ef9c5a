-- name: enrolled
-- Who has enrolled, whatever its link is. `standing` is of the token that it used last.
SELECT enrolled_agent.worker, worker_group, enrolled_agent.tags, version, slots, held, running, backlog,
       backlog_age_s, spool_bytes, spool_most_bytes, drained, drained_by, enrolled_at, last_heard, next_s, left_at,
       clock_offset_ms, enrolled_agent.token_id, agent_token.standing, agent_token.expires_at
  FROM enrolled_agent LEFT JOIN agent_token ON agent_token.token_id = enrolled_agent.token_id
 ORDER BY worker_group, enrolled_agent.worker;

-- name: pinging
-- Who pings over HTTP: agents with that link, and normal workers.
SELECT worker, worker_group, tags, version, started_at, pinged_at FROM worker WHERE pinged_at >= :since
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

-- name: begin_outages
-- Of whoever was heard of since we began to listen, or long enough ago: while nobody listens nobody is silent.
INSERT INTO link_outage (worker, down_at, on_purpose)
SELECT worker, coalesce(left_at, last_heard), CASE WHEN left_at IS NULL THEN 0 ELSE 1 END
  FROM enrolled_agent
 WHERE (left_at IS NOT NULL OR last_heard < :now - (2 * coalesce(next_s, :ping_s) + :patience_s))
   AND coalesce(left_at, last_heard) > :since
   AND NOT EXISTS (SELECT 1 FROM link_outage AS known
                    WHERE known.worker = enrolled_agent.worker AND known.up_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.worker = enrolled_agent.worker AND worker.pinged_at > :http)
ON CONFLICT DO NOTHING;

-- name: begin_http_outages
INSERT INTO link_outage (worker, down_at, on_purpose)
SELECT worker, pinged_at, 0 FROM worker
 WHERE pinged_at <= :http AND pinged_at > :since
   AND NOT EXISTS (SELECT 1 FROM link_outage AS known WHERE known.worker = worker.worker AND known.up_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM enrolled_agent AS edge
                    WHERE edge.worker = worker.worker AND edge.last_heard > :http)
ON CONFLICT DO NOTHING;

-- name: end_outages
UPDATE link_outage SET up_at = (
    SELECT max(heard) FROM (
      SELECT last_heard AS heard FROM enrolled_agent WHERE worker = link_outage.worker AND left_at IS NULL
      UNION ALL SELECT pinged_at FROM worker WHERE worker = link_outage.worker) AS known)
 WHERE up_at IS NULL AND (
   EXISTS (SELECT 1 FROM enrolled_agent
            WHERE worker = link_outage.worker AND left_at IS NULL AND last_heard > link_outage.down_at)
   OR EXISTS (SELECT 1 FROM worker WHERE worker = link_outage.worker AND pinged_at > link_outage.down_at));

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

-- name: note_month
INSERT INTO worker_month (month, worker)
SELECT :month, worker FROM enrolled_agent WHERE last_heard > :since
ON CONFLICT DO NOTHING;

-- name: note_month_over_http
INSERT INTO worker_month (month, worker)
SELECT :month, worker FROM worker WHERE pinged_at > :since AND worker LIKE 'ag-%'
ON CONFLICT DO NOTHING;

-- name: months
SELECT month, count(*) AS workers FROM worker_month GROUP BY month ORDER BY month DESC LIMIT :most;

-- name: forget_months
DELETE FROM worker_month WHERE month < :before;
