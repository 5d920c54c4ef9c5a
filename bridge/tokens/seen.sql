-- name: note_token
-- A token that proves itself holds again, whatever was carried out before.
INSERT INTO agent_token (token_id, tags, expires_at) VALUES (:token_id, :tags, :expires_at)
ON CONFLICT (token_id) DO UPDATE SET standing = 'good';

-- name: note_login
INSERT INTO agent_login (worker, token_id, used_at) VALUES (:worker, :token_id, :now)
ON CONFLICT (worker, token_id) DO UPDATE SET used_at = excluded.used_at;

-- name: tags_of
-- What an agent with this name and token may do; no row when it never proved itself, or its token ended.
SELECT agent_token.tags
  FROM agent_login JOIN agent_token USING (token_id)
 WHERE agent_login.worker = :worker AND agent_login.token_id = :token_id AND agent_token.standing = 'good';

-- name: expired
SELECT token_id FROM agent_token WHERE standing = 'good' AND expires_at <= :now;

-- name: revoked
SELECT token_id FROM agent_token
 WHERE token_id IN (SELECT value FROM json_each(:revoked)) AND standing <> 'revoked';

-- name: revoked for postgresql
SELECT token_id FROM agent_token
 WHERE token_id IN (SELECT jsonb_array_elements_text(CAST(:revoked AS jsonb))) AND standing <> 'revoked';

-- name: users_of
-- Who ever used this token, and whether it is the one that the worker used last.
SELECT worker, NOT EXISTS (
         SELECT 1 FROM agent_login AS later
          WHERE later.worker = agent_login.worker AND later.used_at > agent_login.used_at) AS is_last
  FROM agent_login WHERE token_id = :token_id;

-- name: set_standing
UPDATE agent_token SET standing = :standing WHERE token_id = :token_id;

-- name: logins
-- Every worker whose token holds, for a broker with static users.
SELECT agent_login.worker, agent_login.token_id, agent_token.tags, agent_token.standing, agent_token.expires_at
  FROM agent_login JOIN agent_token USING (token_id)
 ORDER BY agent_login.worker, agent_login.used_at;

-- name: forget_tokens
DELETE FROM agent_token WHERE expires_at < :before;
