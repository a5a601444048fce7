-- Begin a comparison with Stripe. A nightly one is made once, by whoever comes first, unless that one stopped
-- telling of itself; and not if it is long overdue. Without a row: it is another's, or not due.
-- $1 text: reason
-- $2 text: tenant, null for all
-- $3 int8: minute of the day, UTC, at which a nightly run is due, null for others
insert into reconcile_runs as r (reason, tenant, due_at)
select $1, $2::text, reconcile_due($3::int8)
 where $3::int8 is null or reconcile_due($3::int8) > now() - interval '6 hours'
    on conflict (due_at) do update
   set started_at = now(), beat_at = now()
 where r.finished_at is null and r.beat_at < now() - interval '10 minutes'
returning r.run_id
