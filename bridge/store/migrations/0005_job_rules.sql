-- What a job, or its script, says of its own custody (DESIGN section 3); NULL leaves it to the tag's policy.
ALTER TABLE job ADD COLUMN lost_after_s INTEGER;
ALTER TABLE job ADD COLUMN replace TEXT CHECK (replace IN ('never', 'when_lost'));
ALTER TABLE script ADD COLUMN delivery TEXT CHECK (delivery IN ('at_least_once', 'at_most_once'));
ALTER TABLE script ADD COLUMN lost_after_s INTEGER;
ALTER TABLE script ADD COLUMN replace TEXT CHECK (replace IN ('never', 'when_lost'));
ALTER TABLE ledger ADD COLUMN lost_after_s REAL;
ALTER TABLE ledger ADD COLUMN replace TEXT;
ALTER TABLE ledger ADD COLUMN not_after REAL;  -- wall seconds of this bridge
CREATE INDEX ledger_not_after ON ledger (not_after) WHERE not_after IS NOT NULL AND state <> 'closed';
