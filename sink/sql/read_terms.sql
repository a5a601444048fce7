-- Whether sinks are held, the clock that all sinks share, and the era that identifiers are made in. A statement after the
-- one that waited for the lock, so that it sees what changed meanwhile.
select coalesce((select value from ledger_state where name = 'sink_hold'), 0) as hold, now() as read_at,
       coalesce((select value from ledger_state where name = 'claim_era'), 0) as era
