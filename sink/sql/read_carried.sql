-- Late submissions that a person had carried over, the first one of each tenant and metric, in the shape of
-- read_dirty.sql: the period is the tenant's current one, the quantity and the number of the last claim are those of
-- the late one. What has no customer, no current period of a subscription or no way to be billed there stays late, and
-- so do values that replace each other: an old one would replace the current one. What is negative stays late too until
-- there is enough to subtract it from in the current period.
-- $1 text, $2 text, $3 timestamptz: tenant, metric and period_start after which to go on
-- $4 int8: rows at most
-- $5 text[]: transports of this build
-- $6 text[]: tenants; NULL: all
-- $7 int8: those of that half, 1 or 2; 0: all
-- $8 int8: sink_hold; not 0: only those that are released
select u.tenant, u.metric, p.period_start, p.period_end, u.quantity, 0::int8 as version, true as additive,
       m.transport, m.stripe_event_name as event_name, b.stripe_customer_id as customer, i.item,
       false as outside, false as unmapped, billed_from(p.period_start, s.billing_cycle_anchor, s.started_at) as billed_from,
       false as invoice_final, 0::numeric as claimed, null::numeric as held,
       (select max(n.claim) from usage_submissions n
         where n.tenant = u.tenant and n.metric = u.metric and n.period_start = u.period_start
           and n.usage_at >= u.period_start)::int8 as claims,
       h.first_at, h.last_at, null::timestamptz as free_at, 0::int8 as periods_version, false as resummed,
       array[u.identifier] as replaced, u.period_start as carried_from,
       (l.place).*
  from usage_submissions u
  join metrics m on m.metric = u.metric and m.aggregation in ('sum', 'count')
                and m.transport = any ($5::text[])
  join billing_customers b on b.tenant = u.tenant and b.deleted_at is null
 cross join lateral billing_period(u.tenant, now()) as p
  join subscriptions s on s.stripe_subscription_id = p.stripe_subscription_id
  left join lateral (
       select x.stripe_subscription_item_id as item
         from subscription_items x
        where m.transport = 'usage_records' and x.stripe_subscription_id = p.stripe_subscription_id
          and x.metric = u.metric
        order by x.stripe_subscription_item_id desc
        limit 1) as i on true
 cross join lateral (
       select min(n.usage_at) as first_at, max(n.usage_at) as last_at
         from usage_submissions n
        where n.tenant = u.tenant and n.metric = u.metric
          and n.usage_at >= p.period_start and n.usage_at < p.period_end) as h
 cross join lateral (
       select case when u.quantity < 0
                   then subtract_place(u.tenant, u.metric, p.period_start, p.period_end, b.stripe_customer_id,
                                       m.stripe_event_name, -u.quantity) end as place) as l
 where u.state = 'late' and u.decision = 'carry'
   and (u.tenant, u.metric, p.period_start) > ($1, $2, $3::timestamptz) and ($6::text[] is null or u.tenant = any ($6))
   and ($8::int8 = 0 or is_released(u.tenant, $8))
   and (p.period_start < (select proof_needed_before())
        and not is_proven(u.tenant, u.metric, b.stripe_customer_id, p.period_start, p.period_end)) is not true
   and ($7::int8 = 0 or (hashtext(u.tenant) & 1) + 1 = $7)
   and (m.transport <> 'usage_records' or i.item is not null)
   and (u.quantity > 0 or m.transport = 'usage_records' or (l.place).units >= -u.quantity)
   and not exists (select from usage_submissions o
                    where o.state = 'late' and o.decision = 'carry' and o.tenant = u.tenant
                      and o.metric = u.metric and (o.period_start, o.claim) < (u.period_start, u.claim))
 order by u.tenant, u.metric
 limit $4
   for update of u
