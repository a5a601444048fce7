-- Is this tenant still this run's to check? Until COMMIT it stays so.
-- $1 text: tenant, $2 int8: sink_hold, $3 uuid: owner
select tenant
  from restore_checks
 where tenant = $1 and hold = $2::int8 and owner = $3::uuid and checked_at is null
   and exists (select from ledger_state where name = 'sink_hold' and value = $2::int8)
   for update
