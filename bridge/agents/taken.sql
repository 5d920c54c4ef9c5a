-- name: note
INSERT INTO taken_token (bearer, token_id, expires_at, asked_at, is_good)
VALUES (:bearer, :token_id, :expires_at, :now, 1)
ON CONFLICT (bearer) DO UPDATE SET asked_at = excluded.asked_at;

-- name: take_again
-- What the cluster takes it takes in every spelling that it once took.
UPDATE taken_token SET is_good = 1 WHERE token_id = :token_id AND is_good = 0;

-- name: refuse
-- Only of a bearer that was taken once: a forged one has the id of the token that it imitates, and ends nothing.
UPDATE taken_token SET is_good = 0
 WHERE token_id = :token_id AND EXISTS (SELECT 1 FROM taken_token AS shown WHERE shown.bearer = :bearer);

-- name: was_good
-- The cluster took it, and was last heard of no later than that.
SELECT 1 FROM taken_token
 WHERE bearer = :bearer AND is_good = 1 AND asked_at >= (SELECT max(asked_at) FROM taken_token) - :late_s;

-- name: refused
SELECT DISTINCT token_id FROM taken_token WHERE is_good = 0;

-- name: forget
DELETE FROM taken_token WHERE expires_at < :before;

-- name: in_use
-- The tokens of agents that were heard of since then.
SELECT DISTINCT token_id FROM enrolled_agent
 WHERE last_heard >= :since AND left_at IS NULL AND token_id IS NOT NULL;

-- name: unasked
-- Linked agents about whose token no bridge has asked for long: none of them knows it, since they were started anew.
SELECT worker, token_id FROM enrolled_agent
 WHERE last_heard >= :since AND left_at IS NULL AND renew IS NULL
   AND (SELECT max(asked_at) FROM taken_token WHERE taken_token.token_id = enrolled_agent.token_id) < :before;

-- name: renew
UPDATE enrolled_agent SET renew = 'wanted' WHERE worker = :worker;
