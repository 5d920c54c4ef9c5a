-- name: holds
-- Whether the term with this number is the newest.
SELECT 1 FROM leader WHERE epoch = :epoch;

-- name: is_free
-- Nobody has ever led, or who did was not heard of in time, or its connection is gone and so is it.
SELECT 1 FROM leader
 WHERE until < clock_timestamp()
    OR NOT EXISTS (SELECT 1 FROM pg_stat_activity
                    WHERE pid = leader.session AND backend_start = leader.session_since);

-- name: take
UPDATE leader
   SET epoch = epoch + 1, holder = :holder, until = clock_timestamp() + make_interval(secs => :lease_s),
       session = pg_backend_pid(),
       session_since = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
 WHERE until < clock_timestamp()
    OR NOT EXISTS (SELECT 1 FROM pg_stat_activity
                    WHERE pid = leader.session AND backend_start = leader.session_since)
RETURNING epoch;

-- name: renew
-- No row: another term has begun.
UPDATE leader
   SET until = clock_timestamp() + make_interval(secs => :lease_s), session = pg_backend_pid(),
       session_since = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
 WHERE epoch = :epoch
RETURNING epoch;
