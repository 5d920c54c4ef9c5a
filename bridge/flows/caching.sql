-- name: cached
-- The newest success of the same work since then.
SELECT flow_cache.job_id FROM flow_cache JOIN completed ON completed.id = flow_cache.job_id
 WHERE flow_cache.work = :work AND completed.status = 'success' AND completed.completed_at > :since
 ORDER BY completed.completed_at DESC LIMIT 1;

-- name: forget_work
-- Ended before: nobody will ask for it again.
DELETE FROM flow_cache
 WHERE work = :work
   AND EXISTS (SELECT 1 FROM completed WHERE completed.id = flow_cache.job_id AND completed.completed_at <= :since);

-- name: note_work
INSERT INTO flow_cache (work, job_id) VALUES (:work, :id) ON CONFLICT (work, job_id) DO NOTHING;
