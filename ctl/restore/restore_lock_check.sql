-- Lock this tenant's check until COMMIT, if it still belongs to this run.
-- $1 text: tenant, $2 int8: sink_hold, $3 uuid: owner
SELECT tenant
  FROM restore_checks
 WHERE tenant = $1 AND hold = $2::int8 AND owner = $3::uuid AND checked_at IS NULL
   AND EXISTS (SELECT FROM ledger_state WHERE name = 'sink_hold' AND value = $2::int8)
   FOR UPDATE
