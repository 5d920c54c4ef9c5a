-- name: note_lock
INSERT INTO bundle_lock (bundle, lock, noted_at) VALUES (:bundle, :lock, :now)
ON CONFLICT (bundle) DO UPDATE SET noted_at = excluded.noted_at;

-- name: note_use
INSERT INTO bundle_use (bundle, tag) VALUES (:bundle, :tag) ON CONFLICT DO NOTHING;

-- name: lock
SELECT lock FROM bundle_lock WHERE bundle = :bundle;

-- name: tags
-- Whose jobs need it (I4).
SELECT tag FROM bundle_use WHERE bundle = :bundle;

-- name: tags_of
SELECT tags FROM enrolled_agent WHERE worker = :worker;

-- name: platforms
-- What the agents say of themselves that have this tag.
SELECT DISTINCT platform FROM enrolled_agent, json_each(enrolled_agent.tags) AS held
 WHERE platform IS NOT NULL AND held.value = :tag;

-- name: platforms for postgresql
SELECT DISTINCT platform FROM enrolled_agent, jsonb_array_elements_text(enrolled_agent.tags::jsonb) AS own_tag
 WHERE platform IS NOT NULL AND own_tag = :tag;

-- name: locked
-- Deployed scripts that have a tag and a lock.
SELECT tag, language, lock FROM script
 WHERE archived = 0 AND tag IS NOT NULL AND lock IS NOT NULL AND lock <> ''
 ORDER BY created_at DESC LIMIT :most;

-- name: bundle
SELECT manifest, error, made_at FROM bundle WHERE bundle = :bundle AND platform = :platform;

-- name: made
SELECT platform, manifest IS NOT NULL AS is_made, error FROM bundle WHERE bundle = :bundle ORDER BY platform;

-- name: keep
INSERT INTO bundle (bundle, platform, manifest, error, made_at) VALUES (:bundle, :platform, :manifest, :error, :now)
ON CONFLICT (bundle, platform) DO UPDATE SET manifest = excluded.manifest, error = excluded.error,
   made_at = excluded.made_at;

-- name: progress
INSERT INTO bundle_progress (worker, bundle, have, size, why, at)
VALUES (:worker, :bundle, :have, :size, :why, :now)
ON CONFLICT (worker, bundle) DO UPDATE SET have = excluded.have, size = excluded.size, why = excluded.why,
   at = excluded.at;

-- name: prune_locks
DELETE FROM bundle_lock WHERE noted_at < :before;

-- name: prune_uses
DELETE FROM bundle_use WHERE NOT EXISTS (SELECT 1 FROM bundle_lock WHERE bundle_lock.bundle = bundle_use.bundle);

-- name: prune_bundles
DELETE FROM bundle WHERE NOT EXISTS (SELECT 1 FROM bundle_lock WHERE bundle_lock.bundle = bundle.bundle);

-- name: prune_progress
DELETE FROM bundle_progress WHERE at < :before;
