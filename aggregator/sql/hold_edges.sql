-- Billing periods stand still until this transaction ends, whatever they are.
SELECT pg_advisory_xact_lock_shared(hashtext('meterline periods'))
