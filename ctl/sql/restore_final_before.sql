-- An invoice that was final by then was so in the backup, so that nothing was sent for its period since: the last claim
-- from before the server was started in which the loss was found. NULL: not known.
select to_char(max(s.created_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as final_before
  from usage_submissions s
 where s.created_at < to_timestamp((select value from ledger_state where name = 'hold_server_ms' and value > 0) / 1000)
