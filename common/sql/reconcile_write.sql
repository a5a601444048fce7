-- What a comparison found of one place; it replaces what was found before, also of periods whose edges have moved.
-- A drift is explained by its minutes: what Stripe holds of each, what we sent, and the submissions that lie in it.
-- Usage records have no minutes: named are those not settled, and the newest.
-- $1 text tenant, $2 text metric, $3 text customer, $4 text event_name, $5 text subscription item or null
-- $6 timestamptz, $7 timestamptz: the period
-- $8 numeric sent, $9 numeric open, $10 numeric Stripe's, $11 numeric drift
-- $12 int8: run_id
-- $13 timestamptz[] minutes that differ, $14 numeric[] what Stripe holds of each, null for nothing
-- Where both agree and nothing is open, the place is known since the last restore, if the run began after it: an hour
-- later, since Stripe's figures come late, but where `restore accept` or a sink has seen to that.
with told as (
    update reconcile_runs set beat_at = clock_timestamp() where run_id = $12
), moved as (
    delete from usage_drift
     where tenant = $1 and metric = $2 and stripe_customer_id = $3 and event_name = coalesce($5, $4)
       and period_start <> $6::timestamptz and period_start < $7::timestamptz and period_end > $6::timestamptz
), proven as (
    insert into restore_proofs (stripe_customer_id, place, from_at, until_at)
    select $3, coalesce($5, $4), $6::timestamptz, $7::timestamptz
      from ledger_restore r
      join reconcile_runs n on n.run_id = $12 and n.started_at >= r.restored_at + case n.reason when 'restore' then interval '0' else interval '1 hour' end
     where $6::timestamptz < r.restored_at and $9::numeric = 0 and $11::numeric = 0
        on conflict do nothing
), odd as (
    select o.minute, o.held
      from unnest($13::timestamptz[], $14::numeric[]) as o (minute, held)
    union all
    select null, $10::numeric where $5::text is not null and $11::numeric <> 0
), named as (
    select o.minute, o.held, s.*
      from odd o
      left join lateral (
           select sum(u.quantity) filter (where u.state = 'sent') as sent,
                  jsonb_agg(jsonb_build_object('identifier', u.identifier, 'state', u.state,
                            'quantity', trim_scale(u.quantity)::text, 'usage_at', u.usage_at,
                            'request_id', u.request_id) order by u.usage_at, u.created_at) as submissions
             from (select x.*
                     from usage_submissions x
                    where x.stripe_customer_id = $3 and x.event_name = $4
                      and x.stripe_subscription_item_id is not distinct from $5
                      and (x.usage_at = o.minute or o.minute is null and x.tenant = $1 and x.metric = $2
                           and x.usage_at >= $6::timestamptz and x.usage_at < $7::timestamptz)
                    order by x.state = 'sent', x.usage_at desc
                    limit 100) as u) as s on true
), explained as (
    select coalesce(jsonb_agg(jsonb_build_object('minute', minute, 'stripe', trim_scale(held)::text,
                              'sent', trim_scale(sent)::text, 'submissions', coalesce(submissions, '[]'))
                              order by minute), '[]') as list
      from named
)
insert into usage_drift as d (tenant, metric, stripe_customer_id, event_name, period_start, period_end,
                              sent_quantity, open_quantity, stripe_quantity, drift_units, explanation, run_id,
                              checked_at)
select $1, $2, $3, coalesce($5, $4), $6::timestamptz, $7::timestamptz, $8::numeric, $9::numeric, $10::numeric,
       $11::numeric, e.list, $12, now()
  from explained e
    on conflict (tenant, metric, period_start, stripe_customer_id, event_name) do update
   set period_end = excluded.period_end, sent_quantity = excluded.sent_quantity,
       open_quantity = excluded.open_quantity, stripe_quantity = excluded.stripe_quantity,
       drift_units = excluded.drift_units, explanation = excluded.explanation, run_id = excluded.run_id,
       checked_at = excluded.checked_at
