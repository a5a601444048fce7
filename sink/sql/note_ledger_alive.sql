-- Note that the ledger is intact now, and which Redis it is told to: the next check compares with that.
-- $1 text: run_id of that Redis; NULL: it does not tell
UPDATE ledger_identity SET redis_run = $1, alive_at = now() WHERE life = ledger_life()
