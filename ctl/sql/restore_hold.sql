-- A person holds all sinks, who knows that the ledger went back. None are changed if they are held already.
with held as materialized (
    select hold_sinks() from ledger_state where name = 'sink_hold' and value = 0
)
update ledger_identity set suspicion = 'asked' where exists (select from held)
