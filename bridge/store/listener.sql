-- name: listen
LISTEN orvanta;

-- name: tell
-- Sent when the transaction commits, and only then.
SELECT pg_notify('orvanta', :payload);
