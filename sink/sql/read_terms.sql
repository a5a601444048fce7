-- Whether sinks are held, the clock that all sinks share, the era that identifiers are made in, and whether the hold is
-- over for some tenants. A statement after the one that waited for the lock, so that it sees what changed meanwhile.
SELECT sink_hold() AS hold, now() AS read_at,
       coalesce((SELECT value FROM ledger_state WHERE name = 'claim_era'), 0) AS era,
       EXISTS (SELECT FROM restore_checks c
                WHERE c.checked_at IS NOT NULL
                  AND c.hold = (SELECT value FROM ledger_state WHERE name = 'sink_hold')) AS any_released
