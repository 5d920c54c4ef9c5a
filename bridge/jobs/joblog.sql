-- name: written
-- How many characters of this writer's stream are applied.
SELECT chars FROM log_writer WHERE job_id = :job_id AND writer = :writer;

-- name: remember
INSERT INTO log_writer (job_id, writer, chars) VALUES (:job_id, :writer, :chars)
ON CONFLICT (job_id, writer) DO UPDATE SET chars = excluded.chars;

-- name: length
SELECT chars FROM log_head WHERE job_id = :job_id;

-- name: set_length
INSERT INTO log_head (job_id, chars) VALUES (:job_id, :chars)
ON CONFLICT (job_id) DO UPDATE SET chars = excluded.chars;

-- name: add_piece
INSERT INTO log_piece (job_id, at, text) VALUES (:job_id, :at, :text);

-- name: pieces
-- Every piece that has text after `offset`: the last that starts at or before it, and those behind.
SELECT at, text FROM log_piece
 WHERE job_id = :job_id
   AND at >= coalesce((SELECT max(at) FROM log_piece WHERE job_id = :job_id AND at <= :offset), 0)
 ORDER BY at;
