-- Nobody adds to totals or moves billing periods until this transaction ends. Not waited for long: there is another
-- time.
SELECT set_config('lock_timeout', '1s', true), pg_advisory_xact_lock(hashtext('meterline periods'))
