-- name: setting
SELECT value FROM setting WHERE name = :name;

-- name: set_once
-- The first value stays: two processes that open the store agree on it.
INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;
