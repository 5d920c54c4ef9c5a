-- The age of what is out, found by the index alone: the rows have the jobs' bodies in them.
DROP INDEX ledger_open;
CREATE INDEX ledger_open ON ledger (state, tag, taken_at) WHERE state <> 'closed';
