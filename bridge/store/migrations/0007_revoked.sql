-- What the custodian of a lost attempt has been told: NULL, that it is superseded, or that the job is over.
ALTER TABLE ledger ADD COLUMN revoked TEXT;
DROP INDEX ledger_lost;
CREATE INDEX ledger_to_revoke ON ledger (custodian)
 WHERE outcome IN ('lost', 'superseded') AND late = 0 AND coalesce(revoked, '') <> 'over';
