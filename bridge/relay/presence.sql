-- name: heard
-- `rows`: a JSON object, by worker.
UPDATE enrolled_agent SET
  last_heard = CAST(said.value ->> 'now' AS DOUBLE PRECISION),
  held = coalesce(CAST(said.value ->> 'held' AS BIGINT), held),
  backlog = coalesce(CAST(said.value ->> 'backlog' AS BIGINT), backlog),
  clock_offset_ms = coalesce(CAST(said.value ->> 'clock_offset_ms' AS BIGINT), clock_offset_ms),
  left_at = NULL
  FROM json_each(:rows) AS said
 WHERE enrolled_agent.worker = said.key;
