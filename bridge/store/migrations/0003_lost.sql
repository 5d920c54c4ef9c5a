-- Attempts that a silent custodian lost: it is told when it comes back, so they are found by its name.
CREATE INDEX ledger_lost ON ledger (custodian) WHERE outcome = 'lost';
