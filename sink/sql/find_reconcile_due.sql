-- Is anything in doubt to be read at Stripe, and is the nightly comparison due? While sinks are held nothing is read.
-- $1 int8: minute of the day, UTC, at which it is
select exists (select from usage_submissions
                where state = 'in_doubt'
                  and coalesce(last_sent_at, first_sent_at, created_at) < now() - interval '2 hours'
                  and (doubt_read_at is null or doubt_read_at < now() - interval '1 hour'))
       and not exists (select from ledger_state g, ledger_identity i
                        where g.name = 'sink_hold' and (g.value <> 0 or i.life <> ledger_life())) as doubts,
       reconcile_due($1) > now() - interval '6 hours'
       and not exists (select from reconcile_runs
                        where due_at = reconcile_due($1)
                          and (finished_at is not null or beat_at >= now() - interval '10 minutes')) as nightly
