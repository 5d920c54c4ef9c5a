-- name: add_unknown
-- A ping of a worker that we never saw start makes its row too. `rows`: a JSON object, by worker.
INSERT INTO worker (worker, worker_group, worker_instance, ip, version, tags, started_at, pinged_at, jobs_executed)
SELECT said.key, said.value ->> 'worker_group', '', '', '', said.value ->> 'tags',
       CAST(said.value ->> 'started_at' AS DOUBLE PRECISION), CAST(said.value ->> 'now' AS DOUBLE PRECISION), 0
  FROM json_each(:rows) AS said
 WHERE true
ON CONFLICT (worker) DO NOTHING;

-- name: ping
-- What is not said stays as it was known.
UPDATE worker SET
  worker_instance = coalesce(said.value ->> 'worker_instance', worker_instance),
  ip = coalesce(said.value ->> 'ip', ip),
  version = coalesce(said.value ->> 'version', version),
  tags = said.value ->> 'tags',
  pinged_at = CAST(said.value ->> 'now' AS DOUBLE PRECISION),
  jobs_executed = coalesce(CAST(said.value ->> 'jobs_executed' AS BIGINT), jobs_executed),
  last_job_id = coalesce(said.value ->> 'last_job_executed', last_job_id),
  last_job_workspace_id = coalesce(said.value ->> 'last_job_workspace_id', last_job_workspace_id),
  occupancy_rate = coalesce(CAST(said.value ->> 'occupancy_rate' AS DOUBLE PRECISION), occupancy_rate),
  occupancy_rate_15s = coalesce(CAST(said.value ->> 'occupancy_rate_15s' AS DOUBLE PRECISION), occupancy_rate_15s),
  occupancy_rate_5m = coalesce(CAST(said.value ->> 'occupancy_rate_5m' AS DOUBLE PRECISION), occupancy_rate_5m),
  occupancy_rate_30m = coalesce(CAST(said.value ->> 'occupancy_rate_30m' AS DOUBLE PRECISION), occupancy_rate_30m),
  vcpus = coalesce(CAST(said.value ->> 'vcpus' AS BIGINT), vcpus),
  memory = coalesce(CAST(said.value ->> 'memory' AS BIGINT), memory),
  memory_usage = coalesce(CAST(said.value ->> 'memory_usage' AS BIGINT), memory_usage),
  wm_memory_usage = coalesce(CAST(said.value ->> 'wm_memory_usage' AS BIGINT), wm_memory_usage),
  job_isolation = coalesce(said.value ->> 'job_isolation', job_isolation),
  native_mode = coalesce(CAST(said.value ->> 'native_mode' AS BIGINT), native_mode)
  FROM json_each(:rows) AS said
 WHERE worker.worker = said.key;

-- name: heard
UPDATE worker SET pinged_at = CAST(CAST(said.value AS TEXT) AS DOUBLE PRECISION)
  FROM json_each(:heard) AS said
 WHERE worker.worker = said.key;

-- name: forget
-- A restarted agent has a new name, so old rows would pile up (I6).
DELETE FROM worker WHERE pinged_at < :before;
