-- Tenants whose usage is asked to be claimed at once; not those that are held after a restore: their requests stay.
-- $1 int8: rows at most
select s.tenant, s.requested_at
  from sink_requests s
  join ledger_state h on h.name = 'sink_hold'
 where s.kind = 'settle' and (h.value = 0 or is_released(s.tenant, h.value))
 order by s.requested_at
 limit $1
