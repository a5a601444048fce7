-- Totals that are newer than their claims, in the order of their key, with all that the rule asks. What has
-- no customer is not read: usage_unbilled shows it. What was claimed is summed up anew, by usage_at, where
-- a period's edges may have moved since, or something is held: what is held does not count as claimed, so that it is
-- judged anew. Values that replace each other (not additive) count as claimed where they would be sent today. The
-- conditions in the innermost part are subqueries, not joins, so that it goes along the key and stops at the limit,
-- whatever the planner thinks of the tables' sizes.
-- $1 text, $2 text, $3 timestamptz: tenant, metric and period_start after which to go on
-- $4 int8: rows at most
-- $5 text[]: transports of this build
-- $6 text[]: tenants; NULL: all
select d.tenant, d.metric, d.period_start, d.period_end, d.quantity, d.version, d.additive,
       d.transport, d.event_name, d.customer, i.item,
       p.id is null and exists (
           select from subscriptions x
            where x.tenant = d.tenant and x.status not in ('incomplete', 'incomplete_expired')) as outside,
       d.transport = 'usage_records' and i.item is null as unmapped,
       billed_from(d.period_start, s.billing_cycle_anchor, s.started_at) as billed_from,
       p.id is not null and d.period_end <= now() and exists (
           select from invoices i
            where i.tenant = d.tenant and i.stripe_subscription_id = p.id
              and i.finalized_at is not null and i.status <> 'void'
              and i.period_start < i.period_end and minute_of(i.period_end) = d.period_end) as invoice_final,
       case when d.summed then coalesce(d.claimed, 0) else h.claimed end as claimed, h.held, d.claims,
       case when d.summed then d.first_at else h.first_at end as first_at,
       case when d.summed then d.last_at else h.last_at end as last_at,
       case when d.additive and d.period_end <= now() and coalesce(d.last_at, h.last_at) is not null
            then free_minute(d.tenant, d.metric, d.period_start, d.period_end, d.customer, d.event_name)
       end as free_at,
       d.periods_version, d.claimed is not null and not d.summed as resummed,
       h.identifiers as replaced, null::timestamptz as carried_from
  from (select t.tenant, t.metric, t.period_start, t.period_end, t.quantity, t.version,
               m.aggregation in ('sum', 'count') as additive, m.transport,
               m.stripe_event_name as event_name, b.stripe_customer_id as customer,
               coalesce(v.version, 0) as periods_version,
               case when t.claimed is null
                    then not exists (select from usage_submissions n
                                      where n.tenant = t.tenant and n.metric = t.metric
                                        and n.usage_at >= t.period_start)
                         and not exists (select from usage_submissions n
                                          where n.carried and n.tenant = t.tenant and n.metric = t.metric
                                            and n.period_start >= t.period_start)
                    else t.periods_version >= coalesce(v.version, 0) end
                   and not ((select exists (select from usage_submissions where state = 'held'))
                            and exists (select from usage_submissions h
                                         where h.state = 'held' and h.tenant = t.tenant
                                           and h.metric = t.metric)) as summed,
               t.claimed, t.claims, t.first_at, t.last_at
          from (select o.*, c.claimed, coalesce(c.claims, 0) as claims, c.first_at, c.last_at,
                       c.periods_version
                  from usage_totals o
                  left join usage_claims c on c.tenant = o.tenant and c.metric = o.metric
                                          and c.period_start = o.period_start
                 where (o.tenant, o.metric, o.period_start) > ($1, $2, $3::timestamptz)
                   and ($6::text[] is null or o.tenant = any ($6))
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
  -- Most periods are told by Stripe, or are calendar months of tenants that have no subscription.
  left join billing_periods e on e.tenant = d.tenant and e.period_start = d.period_start
 cross join lateral (
       select case when e.stripe_subscription_id is not null then e.stripe_subscription_id
                   when exists (select from subscriptions x where x.tenant = d.tenant)
                   then (select g.stripe_subscription_id from billing_period(d.tenant, d.period_start) as g)
              end as id) as p
  left join subscriptions s on s.stripe_subscription_id = p.id
  left join lateral (
       select x.stripe_subscription_item_id as item
         from subscription_items x
        where d.transport = 'usage_records' and x.stripe_subscription_id = p.id and x.metric = d.metric
        order by x.stripe_subscription_item_id desc
        limit 1) as i on true
  left join lateral (
       select * from sum_submissions(d.tenant, d.metric, d.period_start, d.period_end, d.customer, d.event_name)
        where not d.summed) as h on true
 order by d.tenant, d.metric, d.period_start
