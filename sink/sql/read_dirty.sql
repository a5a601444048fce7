-- Totals that are newer than their claims, in the order of their key, with all that the rule asks. What has
-- no customer is not read: usage_unbilled shows it. What was claimed is summed up anew, by usage_at, where
-- a period's edges may have moved since. Minutes before the subscription's own start do not count there:
-- Stripe bills nothing of them. The conditions in the innermost part are subqueries, not joins, so that it
-- goes along the key and stops at the limit, whatever the planner thinks of the tables' sizes.
-- $1 text, $2 text, $3 timestamptz: tenant, metric and period_start after which to go on
-- $4 int8: rows at most
-- $5 text[]: transports of this build
select d.tenant, d.metric, d.period_start, d.period_end, d.quantity, d.version, d.additive,
       d.transport, d.event_name, d.customer,
       p.stripe_subscription_id is null and exists (
           select from subscriptions x
            where x.tenant = d.tenant and x.status not in ('incomplete', 'incomplete_expired')) as outside,
       s.started_at,
       p.stripe_subscription_id is not null and d.period_end <= now() and exists (
           select from invoices i
            where i.tenant = d.tenant and i.stripe_subscription_id = p.stripe_subscription_id
              and i.finalized_at is not null and i.status <> 'void'
              and i.period_start < i.period_end and minute_of(i.period_end) = d.period_end) as invoice_final,
       case when d.summed then d.claimed else coalesce(h.claimed, 0) end as claimed,
       d.claims,
       case when d.summed then d.first_at else h.first_at end as first_at,
       case when d.summed then d.last_at else h.last_at end as last_at,
       f.free_at, d.periods_version, d.claimed is not null and not d.summed as resummed
  from (select t.tenant, t.metric, t.period_start, t.period_end, t.quantity, t.version,
               m.aggregation in ('sum', 'count') as additive, m.transport,
               m.stripe_event_name as event_name, b.stripe_customer_id as customer,
               coalesce(v.version, 0) as periods_version,
               coalesce(t.periods_version >= coalesce(v.version, 0), false) as summed,
               t.claimed, t.claims, t.first_at, t.last_at
          from (select o.*, c.claimed, coalesce(c.claims, 0) as claims, c.first_at, c.last_at,
                       c.periods_version
                  from usage_totals o
                  left join usage_claims c on c.tenant = o.tenant and c.metric = o.metric
                                          and c.period_start = o.period_start
                 where (o.tenant, o.metric, o.period_start) > ($1, $2, $3::timestamptz)
                   and o.period_end > now() - interval '400 days'
                   and o.version > coalesce(c.version, -1)
                   and (select true from billing_customers b
                         where b.tenant = o.tenant and b.deleted_at is null)
                   and (select m.transport = any ($5::text[]) from metrics m where m.metric = o.metric)
                 order by o.tenant, o.metric, o.period_start
                 limit $4) as t
          join metrics m on m.metric = t.metric
          join billing_customers b on b.tenant = t.tenant
          left join billing_period_changes v on v.tenant = t.tenant) as d
 cross join lateral billing_period(d.tenant, d.period_start) as p
  left join subscriptions s on s.stripe_subscription_id = p.stripe_subscription_id
  left join lateral (
       select case when d.additive then sum(u.quantity)
                   else (array_agg(u.quantity order by u.usage_at desc))[1] end as claimed,
              min(u.usage_at) as first_at, max(u.usage_at) as last_at
         from usage_submissions u
        where not d.summed and u.tenant = d.tenant and u.metric = d.metric and u.state <> 'void'
          and u.usage_at >= greatest(d.period_start, s.started_at) and u.usage_at < d.period_end
       ) as h on true
  left join lateral (
       select u.usage_at - interval '1 minute' as free_at
         from usage_submissions u
        where d.additive and d.period_end <= now()
          and u.stripe_customer_id = d.customer and u.event_name = d.event_name and u.state <> 'void'
          and u.usage_at > d.period_start and u.usage_at < d.period_end
          and not exists (
              select from usage_submissions o
               where o.stripe_customer_id = d.customer and o.event_name = d.event_name
                 and o.usage_at = u.usage_at - interval '1 minute' and o.state <> 'void')
        order by u.usage_at desc
        limit 1) as f on true
 order by d.tenant, d.metric, d.period_start
