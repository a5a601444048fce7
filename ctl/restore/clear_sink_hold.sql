-- Let sinks go on, unless more was lost since the hold was read. The ledger is accepted as it is now, with any restart
-- of PostgreSQL before.
-- $1 int8: sink_hold as it was read
WITH cleared AS (
    UPDATE ledger_state SET value = 0 WHERE name = 'sink_hold' AND value = $1 RETURNING 1
)
UPDATE ledger_identity SET suspicion = NULL, life = ledger_life() WHERE EXISTS (SELECT FROM cleared)
