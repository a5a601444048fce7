-- One claimer at a time, until COMMIT; and whether sinks are held, and the clock that all sinks share. Just
-- in time compiling is off in this transaction: it takes longer than the page that it would speed up.
select pg_try_advisory_xact_lock(hashtext('meterline claims')) as locked,
       coalesce((select value from ledger_state where name = 'sink_hold'), 0) as hold,
       now() as read_at,
       set_config('jit', 'off', true)
