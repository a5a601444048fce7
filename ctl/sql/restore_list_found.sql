-- What Stripe holds and the ledger does not know of, to be adopted: of sums each minute's difference; of newest
-- values the newest one alone, if none of ours is newer; of usage records, which have no minutes, the
-- difference of the total.
-- $1 int8: run_id of the comparison
with found as (
    select d.tenant, d.metric, d.stripe_customer_id, d.event_name, d.period_start, d.period_end, m.transport,
           m.stripe_event_name, m.aggregation in ('sum', 'count') as additive, d.drift_units, e.minute, e.stripe,
           coalesce(e.sent, 0) as sent,
           e.stripe is not null and e.minute = max(e.minute) filter (where e.stripe is not null) over (
               partition by d.tenant, d.metric, d.period_start, d.stripe_customer_id, d.event_name) as newest,
           (select max(s.usage_at) from usage_submissions s
             where s.tenant = d.tenant and s.metric = d.metric and s.state = 'sent'
               and s.stripe_customer_id = d.stripe_customer_id and s.event_name = d.event_name
               and s.usage_at >= d.period_start and s.usage_at < d.period_end) as ours_at
      from usage_drift d
      join metrics m using (metric)
     cross join lateral jsonb_to_recordset(d.explanation)
           as e (minute timestamptz, stripe numeric, sent numeric)
     where d.run_id = $1::int8 and d.drift_units <> 0
)
select tenant, metric, case when minute is null then 'usage_records'
                            when transport = 'usage_records' then 'meter_events' else transport end as transport,
       stripe_customer_id as customer, case when minute is null then stripe_event_name else event_name end
           as event_name, case when minute is null then event_name end as item, period_start, period_end,
       coalesce(minute, minute_of(least(now(), period_end - interval '1 minute'))) as minute,
       trim_scale(case when minute is null then drift_units when additive then stripe - sent else stripe end)::text
           as quantity
  from found
 where case when minute is null then additive and drift_units > 0
            when additive then stripe <> 0 and stripe <> sent
            else newest and minute >= coalesce(ours_at, '-infinity') end
 order by tenant, metric, period_start, customer, event_name, minute
