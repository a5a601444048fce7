-- One catalog at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('meterline catalog'))
