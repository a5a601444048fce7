-- Change the number of shards, and note when. No row: it was not what it was thought to be.
-- $1 int8: the new number; $2 int8: the old one
with changed as (
    update ledger_state set value = $1 where name = 'stream_shards' and value = $2 returning 1
), noted as (
    update ledger_state
       set value = greatest((extract(epoch from clock_timestamp()) * 1000)::bigint, value + 1)
     where name = 'resharded_ms' and exists (select from changed)
)
select from changed
