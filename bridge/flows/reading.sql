-- name: run
SELECT flow_run.status, flow_value.value
  FROM flow_run
  JOIN flow_value ON flow_value.hash = flow_run.value_hash
  JOIN job USING (id)
 WHERE flow_run.id = :id AND job.workspace_id = :workspace_id;

-- name: children
-- With who holds each: the site, where the bridge carried it there.
SELECT flow_child.module_id, flow_child.round, flow_child.position, flow_child.job_id, job.tag,
       completed.status, coalesce(completed.started_at, queue.started_at) AS started_at, completed.duration_ms,
       coalesce((SELECT max(custodian) FROM ledger
                  WHERE ledger.job_id = flow_child.job_id AND ledger.state <> 'closed'), queue.worker) AS worker
  FROM flow_child
  JOIN job ON job.id = flow_child.job_id
  LEFT JOIN queue ON queue.id = flow_child.job_id
  LEFT JOIN completed ON completed.id = flow_child.job_id
 WHERE flow_child.flow_id = :id
 ORDER BY flow_child.module_id, flow_child.round, flow_child.position;

-- name: waiting_on
-- The steps that have not ended, through all flows below this one. `place`: of the child right below this flow.
WITH RECURSIVE below (job_id, module_id, top_id, place) AS (
  SELECT flow_child.job_id, flow_child.module_id, flow_child.module_id, flow_child.position
    FROM flow_child JOIN queue ON queue.id = flow_child.job_id
   WHERE flow_child.flow_id = :id
  UNION ALL
  SELECT flow_child.job_id, flow_child.module_id, below.top_id, below.place
    FROM below
    JOIN flow_child ON flow_child.flow_id = below.job_id
    JOIN queue ON queue.id = flow_child.job_id)
SELECT below.job_id, below.module_id, below.top_id, below.place, job.tag, job.kind, job.created_at,
       queue.state, queue.waits_for, queue.worker, queue.started_at, queue.scheduled_for, queue.canceled_by,
       ledger.state AS custody, ledger.custodian, ledger.taken_at, ledger.published_at, ledger.accepted_at,
       ledger.started_at AS site_started_at, flow_run.suspend
  FROM below
  JOIN job ON job.id = below.job_id
  JOIN queue ON queue.id = below.job_id
  LEFT JOIN flow_run ON flow_run.id = below.job_id
  LEFT JOIN ledger ON ledger.job_id = below.job_id AND ledger.state <> 'closed'
       AND ledger.attempt = (SELECT max(attempt) FROM ledger AS newest WHERE newest.job_id = below.job_id)
 WHERE flow_run.id IS NULL OR flow_run.suspend > 0
 ORDER BY below.top_id, below.place, job.created_at, below.job_id
 LIMIT :most;
