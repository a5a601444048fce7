-- Begin a comparison with Stripe. A nightly one is made once, by whoever comes first, unless that one stopped
-- telling of itself; and not if it is long overdue. Without a row: it is another's, or not due.
-- $1 text: reason
-- $2 text: tenant, null for all
-- $3 int8: minute of the day, UTC, at which a nightly run is due, null for others
INSERT INTO reconcile_runs AS r (reason, tenant, due_at)
SELECT $1, $2::text, reconcile_due($3::int8)
 WHERE $3::int8 IS NULL OR reconcile_due($3::int8) > now() - interval '6 hours'
    ON CONFLICT (due_at) DO UPDATE
   SET started_at = now(), beat_at = now()
 WHERE r.finished_at IS NULL AND r.beat_at < now() - interval '10 minutes'
RETURNING r.run_id
