-- Totals that are newer than their claims, in the order of their key, with all that the rule asks. What has
-- no customer is not read: usage_unbilled shows it. What was claimed is summed up anew where a period's edges may have
-- moved since, or something is held: what is held does not count as claimed, so that it is judged anew. Values that
-- replace each other (not additive) count as claimed where they would be sent today. A sum that fell below what was
-- claimed has the place to subtract from, if there is one.
-- What was not compared with Stripe since a restore is not read either: see restore_unproven.
-- Each step is materialized, so that nothing is asked twice of a row. The first one goes along the key and stops at the
-- limit (see lock_claims.sql); each table in it begins at the place given.
-- $1 text, $2 text, $3 timestamptz: tenant, metric and period_start after which to go on
-- $4 int8: rows at most
-- $5 text[]: transports of this build
-- $6 text[]: tenants; NULL: all
-- $7 int8: those of that half, 1 or 2; 0: all
-- $8 int8: sink_hold; not 0: those that are released
with dirty as materialized (
    select o.tenant, o.metric, o.period_start, o.period_end, o.quantity, o.version,
           b.stripe_customer_id as customer, c.claimed, coalesce(c.claims, 0) as claims, c.first_at, c.last_at,
           c.periods_version as summed_version
      from usage_totals o
      join billing_customers b on b.tenant = o.tenant and b.deleted_at is null and b.tenant >= $1
      left join usage_claims c on (c.tenant, c.metric, c.period_start) = (o.tenant, o.metric, o.period_start)
                              and (c.tenant, c.metric, c.period_start) > ($1, $2, $3)
     where (o.tenant, o.metric, o.period_start) > ($1, $2, $3)
       and ($6::text[] is null or o.tenant = any ($6))
       and ($7::int8 = 0 or (hashtext(o.tenant) & 1) + 1 = $7)
       and ($8::int8 = 0 or is_released(o.tenant, $8))
       and o.version > coalesce(c.version, -1)
       and (o.period_start < (select proof_needed_before())
            and not is_proven(o.tenant, o.metric, b.stripe_customer_id, o.period_start, o.period_end)) is not true
       and o.metric = any (array(select metric from metrics where transport = any ($5::text[])))
     order by o.tenant, o.metric, o.period_start
     limit $4
), known as materialized (
    -- Most periods are told by Stripe, or are calendar months of tenants that have no subscription. A period that was
    -- never claimed and has no submission needs no sum.
    select t.*, m.aggregation in ('sum', 'count') as additive, m.transport, m.stripe_event_name as event_name,
           coalesce(v.version, 0) as periods_version,
           case when e.stripe_subscription_id is not null then e.stripe_subscription_id
                when exists (select from subscriptions x where x.tenant = t.tenant)
                then (select stripe_subscription_id from billing_period(t.tenant, t.period_start))
           end as subscription,
           case when t.claimed is null
                then exists (select from usage_submissions n
                              where (n.tenant, n.metric) = (t.tenant, t.metric) and n.usage_at >= t.period_start)
                     or (select exists (select from usage_submissions where carried))
                        and exists (select from usage_submissions n
                                 where n.carried and (n.tenant, n.metric) = (t.tenant, t.metric)
                                   and n.period_start >= t.period_start)
                else t.summed_version < coalesce(v.version, 0) end
           or ((select exists (select from usage_submissions where state = 'held'))
               and exists (select from usage_submissions n
                            where n.state = 'held' and (n.tenant, n.metric) = (t.tenant, t.metric))) as stale
      from dirty t
      join metrics m using (metric)
      left join billing_period_changes v using (tenant)
      left join billing_periods e using (tenant, period_start)
), summed as materialized (
    select k.*, case when k.stale
                     then sum_submissions(k.tenant, k.metric, k.period_start, k.period_end, k.customer, k.event_name)
                     else row(coalesce(k.claimed, 0), null, null, k.first_at, k.last_at)::submission_sums end as sums,
           case when k.transport = 'usage_records'
                then (select (array_agg(x.stripe_subscription_item_id order by x.stripe_subscription_item_id desc))[1]
                        from subscription_items x
                       where x.stripe_subscription_id = k.subscription and x.metric = k.metric) end as item
      from known k
), placed as materialized (
    select u.*, case when u.additive and floor(u.quantity) < (u.sums).claimed
                     then subtract_place(u.tenant, u.metric, u.period_start, u.period_end, u.customer, u.event_name,
                                         (u.sums).claimed - floor(u.quantity)) end as place
      from summed u
)
select d.tenant, d.metric, d.period_start, d.period_end, d.quantity, d.version, d.additive,
       d.transport, d.event_name, d.customer, d.item,
       d.subscription is null and is_subscriber(d.tenant) as outside,
       d.transport = 'usage_records' and d.item is null as unmapped,
       billed_from(d.period_start, s.billing_cycle_anchor, s.started_at),
       d.period_end <= now() and has_final_invoice(d.tenant, d.subscription, d.period_end) as invoice_final,
       (d.sums).claimed, (d.sums).held, d.claims, (d.sums).first_at, (d.sums).last_at,
       case when d.additive and d.period_end <= now()
            then free_minute(d.tenant, d.metric, d.period_start, d.period_end,
                             coalesce((d.place).customer, d.customer), coalesce((d.place).event_name, d.event_name))
       end as free_at,
       d.periods_version, d.stale and (d.claimed is not null or (d.sums).last_at is not null) as resummed,
       (d.sums).identifiers as replaced, null::timestamptz,
       (d.place).*
  from placed d
  left join subscriptions s on s.stripe_subscription_id = d.subscription
 order by d.tenant, d.metric, d.period_start
