-- The ledger is whole, and Redis is that one: what a later life is compared with.
-- $1 text: its run_id; NULL: it does not tell
UPDATE ledger_identity SET redis_run = $1, alive_at = now() WHERE life = ledger_life()
