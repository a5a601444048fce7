-- An invoice that was final by then was so in the backup, so that nothing was sent for its period since: the last claim
-- from before the server was started in which the loss was found. NULL: not known. Claims ask for it, too.
with known as (
    select max(s.created_at) as at
      from usage_submissions s
     where s.created_at < to_timestamp((select value from ledger_state where name = 'hold_server_ms' and value > 0) / 1000)
), noted as (
    update ledger_restore set final_before = known.at from known
)
select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as final_before from known
