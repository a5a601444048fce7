-- Is anything in doubt to be read at Stripe, and is the nightly comparison due? While sinks are held nothing is read.
-- $1 int8: minute of the day, UTC, at which it is
SELECT EXISTS (SELECT FROM usage_submissions
                WHERE state = 'in_doubt'
                  AND coalesce(last_sent_at, first_sent_at, created_at) < now() - interval '2 hours'
                  AND (doubt_read_at IS NULL OR doubt_read_at < now() - interval '1 hour'))
       AND NOT EXISTS (SELECT FROM ledger_state g, ledger_identity i
                        WHERE g.name = 'sink_hold' AND (g.value <> 0 OR i.life <> ledger_life())) AS doubts,
       reconcile_due($1) > now() - interval '6 hours'
       AND NOT EXISTS (SELECT FROM reconcile_runs
                        WHERE due_at = reconcile_due($1)
                          AND (finished_at IS NOT NULL OR beat_at >= now() - interval '10 minutes')) AS nightly
