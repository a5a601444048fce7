-- Nobody claims or picks until the end of this transaction.
select pg_advisory_xact_lock(hashtext('meterline claims')), pg_advisory_xact_lock(hashtext('meterline picks'))
