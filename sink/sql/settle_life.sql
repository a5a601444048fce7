-- The ledger was compared with what Redis knows: sinks go on, or hold until `meterctl restore accept`. Returns from when on
-- they hold what is not compared with Stripe, where nobody can tell.
-- $1 text: ledger_life() when it was read
-- $2 text: NULL: it is whole; behind, unknown; unsure
-- $3 int8: the greatest number of a pick that Redis knows
with settled as (
    update ledger_identity
       set life = $1, picks = greatest(picks, $3::int8),
           suspicion = case when $2::text in ('behind', 'unknown') then $2::text else suspicion end
     where ledger_life() = $1 and life is distinct from $1
    returning alive_at)
select case when $2::text in ('behind', 'unknown') then hold_sinks() end,
       case when $2::text = 'unsure'
            then to_char(suspect_ledger(alive_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end as held_from
  from settled
