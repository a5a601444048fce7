-- The ledger was compared with what Redis knows: sinks go on, or hold until `meterctl restore accept`.
-- $1 text: ledger_life() when it was read
-- $2 text: NULL: it is whole; behind, unknown
-- $3 int8: the greatest number of a pick that Redis knows
with settled as (
    update ledger_identity
       set life = $1, picks = greatest(picks, $3::int8), suspicion = coalesce($2::text, suspicion)
     where ledger_life() = $1 and life is distinct from $1
    returning 1)
select case when $2::text is not null then hold_sinks() end from settled
