-- Nobody adds to totals or moves billing periods until COMMIT: the lock of fold_usage and refresh_billing_periods.
SELECT pg_advisory_xact_lock(hashtext('meterline periods'))
