-- name: superadmin
SELECT email, username, password_hash, superadmin FROM person WHERE superadmin = 1 ORDER BY email LIMIT 1;

-- name: person
SELECT email, username, password_hash, superadmin FROM person WHERE email = :email;

-- name: add_person
INSERT INTO person (email, username, password_hash, superadmin)
VALUES (:email, :username, :password_hash, :superadmin);

-- name: set_password
UPDATE person SET password_hash = :password_hash WHERE email = :email;

-- name: add_token
INSERT INTO person_token (hash, email, label, created_at, expires_at)
VALUES (:hash, :email, :label, :now, :expires_at);

-- name: drop_token
DELETE FROM person_token WHERE hash = :hash;

-- name: drop_expired
DELETE FROM person_token WHERE expires_at <= :now;

-- name: holder
-- Who holds the token with this hash.
SELECT person.email, person.username, person.superadmin, person_token.expires_at
  FROM person_token JOIN person USING (email)
 WHERE person_token.hash = :hash;

-- name: workspaces
SELECT id, name, owner FROM workspace ORDER BY id;

-- name: workspace
SELECT id, name, owner FROM workspace WHERE id = :id;

-- name: add_workspace
INSERT INTO workspace (id, name, owner) VALUES (:id, :name, :owner);

-- name: email_of
SELECT email FROM person WHERE username = :username;

-- name: blacklist
INSERT INTO blacklisted_token (token, expires_at, blacklisted_at, blacklisted_by)
VALUES (:token, :expires_at, :now, :by)
ON CONFLICT (token) DO UPDATE SET expires_at = :expires_at, blacklisted_at = :now, blacklisted_by = :by;

-- name: blacklist for postgresql
INSERT INTO blacklisted_token (token, expires_at, blacklisted_at, blacklisted_by)
VALUES (:token, :expires_at, :now, :by)
ON CONFLICT (md5(token)) DO UPDATE SET expires_at = :expires_at, blacklisted_at = :now, blacklisted_by = :by;

-- name: remove_blacklisted
DELETE FROM blacklisted_token WHERE token = :token;

-- name: blacklisted
SELECT token, expires_at, blacklisted_at, blacklisted_by FROM blacklisted_token
 WHERE expires_at > :after ORDER BY blacklisted_at DESC, token;
