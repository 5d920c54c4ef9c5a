-- name: custody
-- Of what is out; its index alone answers.
SELECT state, count(*) AS jobs, min(taken_at) AS oldest FROM ledger WHERE state <> 'closed' GROUP BY state;

-- name: queue
SELECT state, count(*) AS jobs, min(scheduled_for) AS oldest FROM queue GROUP BY state;

-- name: letters
SELECT kind, count(*) AS letters FROM dead_letter GROUP BY kind;

-- name: quarantined
SELECT count(*) AS results FROM quarantined_result WHERE decision IS NULL;

-- name: ledger_rows
-- All that it has, what has ended too.
SELECT count(*) AS jobs FROM ledger;
