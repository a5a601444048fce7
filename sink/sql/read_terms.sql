-- Whether sinks are held, the clock that all sinks share, the era that identifiers are made in, and whether the hold is
-- over for some tenants. A statement after the one that waited for the lock, so that it sees what changed meanwhile.
select sink_hold() as hold, now() as read_at,
       coalesce((select value from ledger_state where name = 'claim_era'), 0) as era,
       exists (select from restore_checks c
                where c.checked_at is not null
                  and c.hold = (select value from ledger_state where name = 'sink_hold')) as any_released
