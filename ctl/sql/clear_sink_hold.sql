-- Let sinks go on, unless more was lost since it was read. The ledger is taken as it is now: a restart of PostgreSQL
-- before is told.
-- $1 int8: sink_hold as it was read
with cleared as (
    update ledger_state set value = 0 where name = 'sink_hold' and value = $1 returning 1
)
update ledger_identity set suspicion = null, life = ledger_life() where exists (select from cleared)
