-- Hold all sinks, because a person knows that the ledger went back. No row is changed if they are held already.
WITH held AS MATERIALIZED (
    SELECT hold_sinks() FROM ledger_state WHERE name = 'sink_hold' AND value = 0
)
UPDATE ledger_identity SET suspicion = 'asked' WHERE EXISTS (SELECT FROM held)
