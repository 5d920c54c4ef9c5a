-- name: one
SELECT job.id, job.root_job, job.created_at, job.args, queue.state, queue.started_at AS queue_started_at,
       completed.started_at, completed.duration_ms, completed.status
  FROM job
  LEFT JOIN queue USING (id)
  LEFT JOIN completed USING (id)
 WHERE job.id = :id AND job.workspace_id = :workspace_id;

-- name: set_progress
INSERT INTO job_progress (job_id, percent) VALUES (:id, :percent)
ON CONFLICT (job_id) DO UPDATE SET percent = :percent;

-- name: progress
SELECT percent FROM job_progress WHERE job_id = :id;

-- name: piece
SELECT text FROM stream_piece WHERE job_id = :id AND place = :place;

-- name: add_piece
INSERT INTO stream_piece (job_id, place, text) VALUES (:id, :place, :text)
ON CONFLICT (job_id, place) DO UPDATE SET text = stream_piece.text || excluded.text;

-- name: stream_length
SELECT coalesce(sum(length(text)), 0) FROM stream_piece WHERE job_id = :id;

-- name: stream
SELECT text FROM stream_piece WHERE job_id = :id ORDER BY place;

-- name: queue_counts
-- How many due jobs wait, and how many run, by tag.
SELECT job.tag, count(*) FILTER (WHERE queue.started_at IS NULL) AS waiting,
       count(*) FILTER (WHERE queue.started_at IS NOT NULL) AS running
  FROM queue JOIN job USING (id) WHERE queue.started_at IS NOT NULL OR queue.scheduled_for <= :now
 GROUP BY job.tag ORDER BY job.tag;
