-- What each agent can run, as a JSON list; null: it does not tell.
ALTER TABLE enrolled_agent ADD COLUMN languages TEXT;

-- A job that no agent of its tag runs, or not all do: which language it waits for, and to whom it was sent alone.
ALTER TABLE ledger ADD COLUMN waits_for TEXT;
ALTER TABLE ledger ADD COLUMN directed_to TEXT;
CREATE INDEX ledger_held_back ON ledger (tag, waits_for) WHERE waits_for IS NOT NULL AND state = 'taken';
CREATE INDEX ledger_directed ON ledger (directed_to) WHERE directed_to IS NOT NULL AND state <> 'closed';
