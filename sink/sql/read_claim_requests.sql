-- Tenants whose usage is asked to be claimed at once; not those that are held after a restore: their requests stay.
-- $1 int8: rows at most
SELECT s.tenant, s.requested_at
  FROM sink_requests s
  JOIN ledger_state h ON h.name = 'sink_hold'
 WHERE s.kind = 'settle' AND (h.value = 0 OR is_released(s.tenant, h.value))
 ORDER BY s.requested_at
 LIMIT $1
