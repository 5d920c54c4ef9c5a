-- name: changes
SELECT value FROM setting WHERE name = 'device_changes';

-- name: count_change
INSERT INTO setting (name, value) VALUES ('device_changes', '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(setting.value AS BIGINT) + 1 AS TEXT);

-- name: bound
-- The devices of a token, and those that have a worker's name: what stands against another one.
SELECT token_id, kid, public, worker FROM device
 WHERE state = 'bound' AND (token_id = :token_id OR worker = :worker);

-- name: seen
UPDATE device SET worker = :worker, last_seen = :now WHERE token_id = :token_id AND kid = :kid;

-- name: keep
-- What waits is bound when there is no reason left against it.
INSERT INTO device (token_id, kid, public, worker, state, reason, first_seen, last_seen)
VALUES (:token_id, :kid, :public, :worker, :state, :reason, :now, :now)
ON CONFLICT (token_id, kid) DO UPDATE SET worker = excluded.worker, state = excluded.state,
   reason = excluded.reason, last_seen = excluded.last_seen;

-- name: drop_waiting
-- Of those that wait with a token only the latest are kept (I6): whoever has it could make keys without end.
DELETE FROM device
 WHERE state = 'waiting' AND token_id = :token_id AND kid NOT IN (
   SELECT kid FROM device WHERE state = 'waiting' AND token_id = :token_id
    ORDER BY last_seen DESC LIMIT :most);

-- name: of_tag
-- The devices of agents that have this tag.
SELECT DISTINCT device.kid, device.public
  FROM enrolled_agent JOIN device USING (worker)
 WHERE device.state = 'bound' AND EXISTS (SELECT 1 FROM json_each(enrolled_agent.tags) WHERE value = :tag)
 ORDER BY device.kid LIMIT :most;

-- name: of_tag for postgresql
SELECT DISTINCT device.kid, device.public
  FROM enrolled_agent JOIN device USING (worker)
 WHERE device.state = 'bound'
   AND EXISTS (SELECT 1 FROM jsonb_array_elements_text(enrolled_agent.tags::jsonb) AS value WHERE value = :tag)
 ORDER BY device.kid LIMIT :most;

-- name: key
SELECT kid, public FROM device WHERE state = 'bound' AND kid = :kid LIMIT 1;

-- name: listed
SELECT kid, worker, state, reason, token_id, first_seen, last_seen FROM device ORDER BY state DESC, worker, kid;

-- name: approve
UPDATE device SET state = 'bound', reason = :reason WHERE kid = :kid;

-- name: forget
DELETE FROM device WHERE kid = :kid;

-- name: succeed
INSERT INTO token_successor (token_id, old_token, token, successor_id, created_at)
VALUES (:token_id, :old_token, :token, :successor_id, :now)
ON CONFLICT (token_id) DO UPDATE SET token = excluded.token, successor_id = excluded.successor_id,
   created_at = excluded.created_at, taken_at = NULL;

-- name: successor
SELECT token FROM token_successor WHERE token_id = :token_id AND taken_at IS NULL;

-- name: is_succeeded
SELECT 1 FROM token_successor WHERE token_id = :token_id;

-- name: taken
-- The new token is in use, so nobody needs to be told of it any more.
UPDATE token_successor SET taken_at = :now, token = ''
 WHERE successor_id = :successor_id AND taken_at IS NULL
RETURNING old_token;

-- name: tokens_in_use
-- `successor` is null when nothing waits to be taken over in its place.
SELECT enrolled_agent.worker, enrolled_agent.worker_group, enrolled_agent.token_id, agent_token.expires_at,
       token_successor.successor_id AS successor
  FROM enrolled_agent
  LEFT JOIN agent_token ON agent_token.token_id = enrolled_agent.token_id
  LEFT JOIN token_successor ON token_successor.token_id = enrolled_agent.token_id
                           AND token_successor.taken_at IS NULL
 ORDER BY enrolled_agent.worker;

-- name: renew_token
UPDATE enrolled_agent SET renew = 'wanted' WHERE token_id = :token_id;

-- name: all_to_renew
SELECT worker FROM enrolled_agent WHERE renew IS NOT NULL;

-- name: must_renew
SELECT 1 FROM enrolled_agent WHERE worker = :worker AND renew IS NOT NULL;
