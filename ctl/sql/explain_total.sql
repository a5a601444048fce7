-- What is billed of a metric in one period, and where the minutes lie that make it: in the period, or, of a metric that
-- carries its last value over into a period without usage, before it. No row: the catalog has no such metric.
-- is_summed: the claim is what its submissions hold; else the sink has yet to sum them up anew.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: in the period
with stored as (
    select t.period_start, t.period_end, t.quantity
      from usage_totals t
     where t.tenant = $1::text and t.metric = $2::text
       and t.period_start <= $3::timestamptz and $3::timestamptz < t.period_end
), period as (
    select coalesce(t.period_start, p.period_start) as low, coalesce(t.period_end, p.period_end) as high, t.quantity,
           p.stripe_subscription_id as subscription
      from billing_period($1::text, $3::timestamptz) p
      left join stored t on true
), newest as (
    select a.minute_at
      from period p, usage_aggregates a
     where a.tenant = $1::text and a.metric = $2::text and a.minute_at < p.high
     order by a.minute_at desc
     limit 1
), place as (
    select p.*, m.*, m.carry and p.quantity is not null and n.minute_at < p.low as carried_over,
           case when m.carry and p.quantity is not null and n.minute_at < p.low then n.minute_at else p.low end as first,
           case when m.carry and p.quantity is not null and n.minute_at < p.low then n.minute_at + interval '1 minute'
                else p.high end as last
      from metrics m
     cross join period p
      left join newest n on true
     where m.metric = $2::text
)
select to_char(p.low at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as period_start,
       to_char(p.high at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as period_end,
       trim_scale(coalesce(p.quantity, 0)) as total, p.unit, p.aggregation, p.from_metric as derived_from,
       nullif(p.where_dimensions, '{}')::text as where_dimensions, p.transport,
       b.stripe_customer_id as customer, p.subscription, i.stripe_invoice_id as invoice, i.status as invoice_status,
       to_char(p.first at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as first_minute,
       to_char(p.last at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as last_minute,
       p.carried_over,
       case when p.quantity is null and c.tenant is null then (
            select to_char(max(t.period_start) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')
              from usage_totals t where t.tenant = $1::text and t.metric = $2::text) end as used_period,
       -- A claim of a period without a total holds nothing: it stands for what late carry had billed there.
       case when c.tenant is not null and p.quantity is not null
            then c.version >= 0 and c.periods_version >= coalesce(v.version, 0)
            else not exists (
                select from usage_submissions s
                 where s.tenant = $1::text and s.metric = $2::text and s.state <> 'void'
                   and (s.carried or s.usage_at >= p.low and s.usage_at <= p.high)
                   and (select o.period_start
                          from submission_period(s.tenant, s.usage_at, s.period_start, s.carried) o) = p.low) end as is_summed,
       (select to_char((minute_of(max(d.occurred_max)) + interval '1 minute') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')
          from usage_batches_dropped d having max(d.occurred_max) >= p.first) as dropped_before,
       (select coalesce(sum(u.events), 0)
          from usage_pending w
         cross join lateral (
               select * from unnest(w.tenants, w.metrics, w.minutes, w.events)
                union all
               select tenant, metric, minute_at, events
                 from count_raw_events(array[$1::text], '-infinity', 'infinity', null, w.batch) where w.from_raw
               ) u (tenant, metric, minute_at, events)
         where u.tenant = $1::text and u.metric = $2::text and u.minute_at >= p.low and u.minute_at < p.high) as unfolded
  from place p
  left join billing_customers b on b.tenant = $1::text and b.deleted_at is null
  left join usage_claims c on c.tenant = $1::text and c.metric = $2::text and c.period_start = p.low
  left join billing_period_changes v on v.tenant = $1::text
  left join lateral (
       select o.stripe_invoice_id, o.status
         from invoices o
        where o.tenant = $1::text and o.stripe_subscription_id = p.subscription and o.status <> 'void'
          and o.period_start < o.period_end and minute_of(o.period_end) = p.high
        order by o.event_created desc nulls last
        limit 1) i on true
