-- name: take
-- Custody begins when this commits (hop 1, I1). A job that is out already keeps its row.
INSERT INTO ledger (job_id, attempt, workspace, tag, body, token, job_json, state, taken_at,
                    lost_after_s, replace, not_after)
VALUES (:job_id, :attempt, :workspace, :tag, :body, :token, :job_json, 'taken', :now,
        :lost_after_s, :replace, :not_after)
ON CONFLICT DO NOTHING;

-- name: open_attempt
SELECT attempt FROM ledger WHERE job_id = :job_id AND state <> 'closed' ORDER BY attempt DESC LIMIT 1;

-- name: last_attempt
SELECT coalesce(max(attempt), 0) AS attempt FROM ledger WHERE job_id = :job_id;

-- name: unpublished
SELECT job_id, attempt, workspace, tag, body FROM ledger
 WHERE state = 'taken' AND waits_for IS NULL ORDER BY taken_at LIMIT :most;

-- name: published
-- The broker holds it (hop 2). An acceptance may have come first; it is not undone.
UPDATE ledger SET published_at = :now, state = CASE state WHEN 'taken' THEN 'published' ELSE state END,
       directed_to = NULL
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed';

-- name: publish_again
-- The queue of this tag is gone: what it held, and nobody has accepted, goes out again as the same attempt (I1).
UPDATE ledger SET state = 'taken', published_at = NULL WHERE tag = :tag AND state = 'published';

-- name: accept
-- Compare and set: the first acceptor of an attempt is its custodian (I1, I2).
-- One row: yours, also when asked twice. No row: somebody else holds it, or it is closed or about to be, or it is
-- of a tag that this agent does not hold (I4).
UPDATE ledger SET custodian = :worker, accepted_at = coalesce(accepted_at, :now), state = 'accepted'
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed'
   AND coalesce(custodian, :worker) = :worker AND (custodian IS NOT NULL OR cancel_sent IS NULL)
   AND (custodian = :worker OR EXISTS (
     SELECT 1 FROM enrolled_agent, json_each(enrolled_agent.tags) AS held
      WHERE enrolled_agent.worker = :worker AND held.value = ledger.tag))
RETURNING job_json;

-- name: accept for postgresql
UPDATE ledger SET custodian = :worker, accepted_at = coalesce(accepted_at, :now), state = 'accepted'
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed'
   AND coalesce(custodian, :worker) = :worker AND (custodian IS NOT NULL OR cancel_sent IS NULL)
   AND (custodian = :worker OR EXISTS (
     SELECT 1 FROM enrolled_agent, jsonb_array_elements_text(enrolled_agent.tags::jsonb) AS own_tag
      WHERE enrolled_agent.worker = :worker AND own_tag = ledger.tag))
RETURNING job_json;

-- name: concerns
-- Whether this agent has a word to say about an attempt: it holds the tag, or the attempt itself (I4).
SELECT 1 FROM ledger
 WHERE job_id = :job_id AND attempt = :attempt AND (custodian = :worker OR EXISTS (
     SELECT 1 FROM enrolled_agent, json_each(enrolled_agent.tags) AS held
      WHERE enrolled_agent.worker = :worker AND held.value = ledger.tag));

-- name: concerns for postgresql
SELECT 1 FROM ledger
 WHERE job_id = :job_id AND attempt = :attempt AND (custodian = :worker OR EXISTS (
     SELECT 1 FROM enrolled_agent, jsonb_array_elements_text(enrolled_agent.tags::jsonb) AS own_tag
      WHERE enrolled_agent.worker = :worker AND own_tag = ledger.tag));

-- name: refuse
-- Compare and set against `accept`: nobody holds this attempt, and from now on nobody can (I7).
-- No row: an agent was first, and has to be told.
UPDATE ledger SET cancel_sent = :by
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed' AND custodian IS NULL
RETURNING attempt;

-- name: started
UPDATE ledger SET started_at = :started_at WHERE job_id = :job_id AND attempt = :attempt;

-- name: held_by
-- What this agent should hold, in the order of their keys.
SELECT job_id, attempt FROM ledger
 WHERE custodian = :worker AND state = 'accepted' AND accepted_at <= :before
   AND (job_id, attempt) > (:job_id, :attempt)
 ORDER BY job_id, attempt LIMIT :most;

-- name: tell_cancels_again
-- The broker may have lost what this agent was told: the next ping tells it once more (I7).
UPDATE ledger SET cancel_sent = NULL
 WHERE custodian = :worker AND state = 'accepted' AND accepted_at <= :before;

-- name: find
SELECT job_id, attempt, workspace, tag, token, job_json, state, custodian, started_at, cancel_sent,
       lost_after_s, replace, not_after, published_at, distrusted
  FROM ledger WHERE job_id = :job_id ORDER BY state = 'closed', attempt = :attempt DESC, attempt DESC LIMIT 1;

-- name: attempt
SELECT job_id, attempt, workspace, tag, token, job_json, state, custodian, started_at, cancel_sent,
       lost_after_s, replace, not_after, published_at, distrusted
  FROM ledger WHERE job_id = :job_id AND attempt = :attempt AND coalesce(outcome, '') <> 'superseded';

-- name: close
-- The cluster has recorded the job (hop 6): every attempt of it is over, and its bytes go. An attempt that was
-- given up before, and whose result came home first after all, is the one that counts.
UPDATE ledger SET state = 'closed', closed_at = :now, outcome = CASE attempt WHEN :attempt THEN :outcome ELSE 'superseded' END,
       body = NULL, token = '', job_json = '',
       result_at = CASE attempt WHEN :attempt THEN :now ELSE result_at END,
       started_at = CASE attempt WHEN :attempt THEN coalesce(started_at, :started_at) ELSE started_at END,
       finished_while_down = CASE attempt WHEN :attempt THEN :finished_while_down ELSE 0 END,
       finished_at = CASE attempt WHEN :attempt THEN :finished_at ELSE finished_at END,
       clock_offset_ms = CASE attempt WHEN :attempt THEN :clock_offset_ms ELSE clock_offset_ms END
 WHERE job_id = :job_id
   AND (state <> 'closed' OR (attempt = :attempt AND outcome IN ('elsewhere', 'lost')));

-- name: close_elsewhere
-- Somebody ended it at the cluster. If that was our own result in this moment, its outcome will stand instead.
UPDATE ledger SET state = 'closed', closed_at = :now, outcome = 'elsewhere', body = NULL, token = '', job_json = ''
 WHERE job_id = :job_id AND state <> 'closed';

-- name: give_up
-- This attempt is over without a result; the next one has been taken in the same commit (I1).
UPDATE ledger SET state = 'closed', closed_at = :now, outcome = 'lost', body = NULL, token = '', job_json = ''
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed';

-- name: take_next
-- No row when the attempt is over already, its result came home in this moment; nor when somebody has accepted
-- it in this moment: an at_most_once job may have been granted (I2).
INSERT INTO ledger (job_id, attempt, workspace, tag, body, token, job_json, state, taken_at,
                    lost_after_s, replace, not_after)
SELECT job_id, attempt + 1, workspace, tag, :body, token, job_json, 'taken', :now, lost_after_s, replace, not_after
  FROM ledger
 WHERE job_id = :job_id AND attempt = :attempt AND state <> 'closed' AND coalesce(custodian, '') = :custodian
ON CONFLICT DO NOTHING;

-- name: body
SELECT body FROM ledger WHERE job_id = :job_id AND attempt = :attempt;

-- name: set_body
UPDATE ledger SET body = :body WHERE job_id = :job_id AND attempt = :attempt AND state = 'taken';

-- name: expired
-- Nobody has accepted these, and running them is pointless now. The state has something joined to it so that the index
-- of `not_after` is taken: by the state every job that waits would be read, and SQLite would prepare the statement
-- anew for each state.
SELECT job_id, attempt, workspace, tag, token, job_json, state, custodian, started_at, cancel_sent,
       lost_after_s, replace, not_after, published_at, distrusted
  FROM ledger
 WHERE not_after IS NOT NULL AND state <> 'closed' AND state || '' = :state AND not_after <= :before;

-- name: to_revoke
-- What this agent held and lost, and has not been told of; and what it was told of before the job was over.
SELECT job_id, attempt, over FROM (
  SELECT job_id, attempt, revoked, NOT EXISTS (
    SELECT 1 FROM ledger AS other WHERE other.job_id = ledger.job_id AND other.state <> 'closed') AS over
    FROM ledger
   WHERE outcome IN ('lost', 'superseded') AND late = 0 AND coalesce(revoked, '') <> 'over'
     AND custodian = :worker) AS lost
 WHERE over OR revoked IS NULL LIMIT :most;

-- name: who_to_revoke
SELECT DISTINCT custodian FROM ledger
 WHERE outcome IN ('lost', 'superseded') AND late = 0 AND coalesce(revoked, '') <> 'over'
   AND custodian IS NOT NULL
   AND (revoked IS NULL OR NOT EXISTS (
     SELECT 1 FROM ledger AS other WHERE other.job_id = ledger.job_id AND other.state <> 'closed'));

-- name: note_revoked
UPDATE ledger SET revoked = :told WHERE job_id = :job_id AND attempt = :attempt;

-- name: late
UPDATE ledger SET late = late + 1 WHERE job_id = :job_id AND attempt = :attempt;

-- name: in_custody
SELECT job_id, attempt, workspace, tag, token, job_json, state, custodian, started_at, cancel_sent,
       lost_after_s, replace, not_after, published_at, distrusted, directed_to
  FROM ledger WHERE state <> 'closed';

-- name: waiting
-- Per tag, the jobs that no agent has accepted: what back pressure counts. Those that wait for a language, or went
-- to one agent alone, have bounds of their own, and hold up nobody else.
SELECT tag, count(*) AS jobs FROM ledger
 WHERE state IN ('taken', 'published') AND waits_for IS NULL AND directed_to IS NULL GROUP BY tag;

-- name: cancel_sent
UPDATE ledger SET cancel_sent = :by WHERE job_id = :job_id AND attempt = :attempt;

-- name: distrust
-- The token of this agent was revoked: what it holds, and what was taken from it before, it may no longer end.
UPDATE ledger SET distrusted = 1 WHERE custodian = :worker AND (state = 'accepted' OR outcome = 'lost');

-- name: is_distrusted
SELECT distrusted FROM ledger WHERE job_id = :job_id AND attempt = :attempt AND custodian = :worker;

-- name: had
-- The last attempt of the job that this agent was the custodian of, and whose result was not recorded; null: none.
SELECT max(attempt) AS attempt FROM ledger
 WHERE job_id = :job_id AND custodian = :worker AND (CAST(:attempt AS INTEGER) IS NULL OR attempt = :attempt)
   AND (state <> 'closed' OR outcome IN ('lost', 'superseded', 'elsewhere'));

-- name: log_chars
SELECT chars FROM log_progress WHERE job_id = :job_id AND attempt = :attempt AND worker = :worker;

-- name: log_moved
INSERT INTO log_progress (job_id, attempt, worker, chars) VALUES (:job_id, :attempt, :worker, :chars)
ON CONFLICT (job_id, attempt, worker) DO UPDATE SET chars = excluded.chars;

-- name: prune_log_progress
DELETE FROM log_progress
 WHERE NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = log_progress.job_id);

-- name: restamp
-- Closed while our clock was ahead: without this such a row would be kept for years.
UPDATE ledger SET closed_at = :now WHERE state = 'closed' AND closed_at > :now + 86400;

-- name: prune
DELETE FROM ledger WHERE state = 'closed' AND closed_at < :before;

-- name: add_part
-- Parts belong to one job: another with the same document may come home earlier. Of a job that is over none is kept,
-- unless its result may go to quarantine.
INSERT INTO blob_part (job_id, sha256, part_index, part_count, part, at)
SELECT :job_id, :sha256, :index, :of, :part, :now
 WHERE length(:sha256) = 64  -- what is none an agent made up, and no index takes it at any length
   AND EXISTS (SELECT 1 FROM ledger WHERE job_id = :job_id AND (state <> 'closed' OR distrusted = 1))
ON CONFLICT DO NOTHING;

-- name: parts
SELECT part FROM blob_part WHERE job_id = :job_id AND sha256 = :sha256 ORDER BY part_index;

-- name: prune_parts
DELETE FROM blob_part WHERE at < :before;

-- name: drop_parts
DELETE FROM blob_part WHERE job_id = :job_id;

-- name: enrol
INSERT INTO enrolled_agent (worker, worker_group, tags, version, slots, enrolled_at, last_heard, clock_offset_ms,
                            token_id, platform, languages)
VALUES (:worker, :worker_group, :tags, :version, :slots, :now, :now, :clock_offset_ms, :token_id, :platform, :languages)
ON CONFLICT (worker) DO UPDATE SET worker_group = excluded.worker_group, tags = excluded.tags,
   token_id = excluded.token_id, renew = NULL, platform = excluded.platform, languages = excluded.languages,
   version = excluded.version, slots = excluded.slots, last_heard = excluded.last_heard, left_at = NULL,
   clock_offset_ms = coalesce(excluded.clock_offset_ms, enrolled_agent.clock_offset_ms);

-- name: heard
UPDATE enrolled_agent SET last_heard = :now, held = coalesce(:held, held), backlog = coalesce(:backlog, backlog),
       clock_offset_ms = coalesce(:clock_offset_ms, clock_offset_ms), left_at = :left_at
 WHERE worker = :worker;

-- name: agents
SELECT worker, worker_group, tags, version, slots, held, backlog, enrolled_at, last_heard, left_at,
       clock_offset_ms
  FROM enrolled_agent ORDER BY worker;

-- name: last_heard
SELECT worker, last_heard FROM enrolled_agent;

-- name: shared_tags
-- Those of `tags`, a JSON list, that another agent serves too.
SELECT mine.value AS tag FROM json_each(:tags) AS mine
 WHERE EXISTS (
   SELECT 1 FROM enrolled_agent, json_each(enrolled_agent.tags) AS theirs
    WHERE enrolled_agent.worker <> :worker AND theirs.value = mine.value);

-- name: shared_tags for postgresql
SELECT mine.value AS tag FROM json_array_elements_text(:tags::json) AS mine(value)
 WHERE EXISTS (
   SELECT 1 FROM enrolled_agent, json_array_elements_text(enrolled_agent.tags::json) AS theirs(value)
    WHERE enrolled_agent.worker <> :worker AND theirs.value = mine.value);

-- name: abilities
-- A fleet of thousands has few combinations.
SELECT DISTINCT tags, languages FROM enrolled_agent;

-- name: languages_of
SELECT languages FROM enrolled_agent WHERE worker = :worker;

-- name: note_languages
-- It is there, and this is what it says of itself: it may have enrolled from what it remembers.
UPDATE enrolled_agent SET languages = :languages, last_heard = :now, left_at = NULL WHERE worker = :worker;

-- name: custody
-- What a page or the demo shows: where each job is.
SELECT job_id, attempt, workspace, tag, state, custodian, taken_at, published_at, accepted_at, started_at,
       result_at, closed_at, outcome, late, finished_while_down, lost_after_s, replace, not_after, finished_at, clock_offset_ms,
       cancel_sent, revoked
  FROM ledger ORDER BY taken_at;

-- name: keys
SELECT kid, private FROM signing_key WHERE retired_at IS NULL ORDER BY created_at DESC;

-- name: key_ids
SELECT kid FROM signing_key WHERE retired_at IS NULL ORDER BY created_at DESC;

-- name: introductions
-- Those of retired keys too: a site may have slept through several rotations.
SELECT introduction FROM signing_key WHERE introduction IS NOT NULL ORDER BY created_at DESC LIMIT :most;

-- name: add_key
-- The newest, whatever the clock says.
INSERT INTO signing_key (kid, private, introduction, created_at)
VALUES (:kid, :private, :introduction,
        CASE WHEN :now > (SELECT coalesce(max(created_at), 0) FROM signing_key) THEN :now
             ELSE (SELECT max(created_at) + 0.001 FROM signing_key) END);

-- name: retire_key
-- Its private half goes. The last key stays: without one nothing could be signed.
UPDATE signing_key SET retired_at = :now, private = :nothing
 WHERE kid = :kid AND retired_at IS NULL
   AND EXISTS (SELECT 1 FROM signing_key AS other WHERE other.retired_at IS NULL AND other.kid <> :kid);

-- name: renew_all
UPDATE enrolled_agent SET renew = 'wanted';

-- name: to_renew
SELECT worker FROM enrolled_agent WHERE renew = 'wanted' LIMIT :most;

-- name: told_to_renew
UPDATE enrolled_agent SET renew = 'told' WHERE worker = :worker AND renew = 'wanted';
