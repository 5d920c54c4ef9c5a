-- name: heard
-- `rows`: a JSON object, by worker. What an older release does not tell is not known any more.
UPDATE enrolled_agent SET
  last_heard = CAST(said.value ->> 'now' AS DOUBLE PRECISION),
  held = coalesce(CAST(said.value ->> 'held' AS BIGINT), held),
  backlog = coalesce(CAST(said.value ->> 'backlog' AS BIGINT), backlog),
  clock_offset_ms = coalesce(CAST(said.value ->> 'clock_offset_ms' AS BIGINT), clock_offset_ms),
  running = coalesce(CAST(said.value ->> 'running' AS BIGINT), running),
  next_s = CAST(said.value ->> 'next_s' AS DOUBLE PRECISION),
  backlog_age_s = CAST(said.value ->> 'backlog_age_s' AS DOUBLE PRECISION),
  spool_bytes = coalesce(CAST(said.value ->> 'spool_bytes' AS BIGINT), spool_bytes),
  spool_most_bytes = coalesce(CAST(said.value ->> 'spool_most_bytes' AS BIGINT), spool_most_bytes),
  drained = coalesce(CAST(said.value ->> 'drained' AS BIGINT), drained),
  left_at = NULL
  FROM json_each(:rows) AS said
 WHERE enrolled_agent.worker = said.key;
