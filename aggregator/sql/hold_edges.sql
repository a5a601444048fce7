-- Billing periods stand still until this transaction ends, whatever they are. Not waited for long: there is
-- another time.
SELECT set_config('lock_timeout', '1s', true), pg_advisory_xact_lock_shared(hashtext('meterline periods'))
