-- Until COMMIT nobody adds to totals or moves billing periods: the lock of fold_usage and refresh_billing_periods.
SELECT pg_advisory_xact_lock(hashtext('meterline periods'))
