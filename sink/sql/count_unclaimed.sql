-- Units that are counted and in no submission, by metric, by why (as in usage_unbilled) and by how long ago their total
-- last changed. Of periods that are open or ended up to 35 days ago: Stripe takes nothing older, and the index leads past
-- it. What a subscription's period is, is asked only where no stored one tells. What is to be taken back counts as well.
with rest as materialized (
    select t.tenant, t.metric, t.period_start, t.period_end, m.transport, m.aggregation in ('sum', 'count') as additive,
           case when m.aggregation in ('sum', 'count') then floor(t.quantity) - coalesce(c.claimed, 0)
                else floor(t.quantity) end as units,
           now() - t.updated_at as age
      from usage_totals t
      join metrics m on m.metric = t.metric and m.transport <> 'none'
      left join usage_claims c on c.tenant = t.tenant and c.metric = t.metric and c.period_start = t.period_start
     where t.period_end > now() - interval '35 days' and floor(t.quantity) <> coalesce(c.claimed, 0)
), told as (
    select r.*, case when b.tenant is null then 'unmapped'
                     when not r.additive and abs(r.units) > 999999999999999 then 'too_large'
                     when s.id is null and is_subscriber(r.tenant) then 'before_subscription'
                     when r.transport = 'usage_records' and not exists (
                          select from subscription_items i
                           where i.stripe_subscription_id = s.id and i.metric = r.metric) then 'unmapped'
                     when r.period_start < (select proof_needed_before())
                          and not is_proven(r.tenant, r.metric, b.stripe_customer_id, r.period_start, r.period_end)
                          then 'not_compared'
                     else 'waiting' end as reason,
           case when r.age < interval '15 minutes' then 'under_15m' when r.age < interval '1 hour' then 'under_1h'
                when r.age < interval '1 day' then 'under_1d' else 'over_1d' end as bucket
      from rest r
      left join billing_customers b on b.tenant = r.tenant and b.deleted_at is null
      left join billing_periods e on e.tenant = r.tenant and e.period_start = r.period_start
     cross join lateral (
          select case when e.stripe_subscription_id is not null then e.stripe_subscription_id
                      when exists (select from subscriptions x where x.tenant = r.tenant)
                      then (select g.stripe_subscription_id from billing_period(r.tenant, r.period_start) as g)
                 end as id) as s
)
select metric, reason, bucket, least(sum(abs(units)), 9223372036854775807)::int8 as units
  from told
 group by metric, reason, bucket
