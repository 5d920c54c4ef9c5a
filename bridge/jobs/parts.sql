-- name: keep_part
INSERT INTO result_part (job_id, sha256, part_index, part) VALUES (:job_id, :sha256, :index, :part)
ON CONFLICT DO NOTHING;

-- name: drop_other_documents
-- A job has one result: what was begun of another one makes room (I6).
DELETE FROM result_part WHERE job_id = :job_id AND sha256 <> :sha256;

-- name: parts
SELECT part FROM result_part WHERE job_id = :job_id AND sha256 = :sha256 ORDER BY part_index;
