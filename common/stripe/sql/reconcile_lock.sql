-- Nobody claims or picks until the end of this transaction.
SELECT pg_advisory_xact_lock(hashtext('meterline claims')), pg_advisory_xact_lock(hashtext('meterline picks'))
