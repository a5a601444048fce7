-- What to compare with Stripe, of one page of tenants: each metric in each of their periods that is open or
-- ended up to 35 days ago, and each customer that its submissions name or that would get the next one. A tenant
-- without any of that has a row without a metric, so that the next page begins behind it. Periods are
-- walked from now backwards; the tenants by one probe of an index each.
-- $1 text: tenant after which to go on
-- $2 text: this tenant alone, or null
-- $3 timestamptz: only the periods that hold this time, or null
-- $4 bool: also metrics of which neither submissions nor totals are known
-- $5 int8: tenants a page
-- $6 timestamptz: without periods whose invoice was final by then, or null
-- $7 bool: only what is not known since a restore, and where nothing of ours is under way
with recursive known as (
    select (select min(n.tenant)
              from (select min(t.tenant) as tenant from usage_totals t where t.tenant > $1
                    union all
                    select min(s.tenant) from usage_submissions s where s.tenant > $1
                    union all
                    select min(b.tenant) from billing_customers b where b.tenant > $1) as n) as tenant, 1 as place
     where $2::text is null
    union all
    select (select min(n.tenant)
              from (select min(t.tenant) as tenant from usage_totals t where t.tenant > k.tenant
                    union all
                    select min(s.tenant) from usage_submissions s where s.tenant > k.tenant
                    union all
                    select min(b.tenant) from billing_customers b where b.tenant > k.tenant) as n), k.place + 1
      from known k
     where k.tenant is not null and k.place < $5::int8
), tenants as (
    select tenant from known where tenant is not null
    union all
    select $2::text where $2::text > $1
), periods as (
    select n.tenant, p.*
      from tenants n
     cross join lateral billing_period(n.tenant, coalesce($3::timestamptz, now())) as p
    union all
    select l.tenant, p.*
      from periods l
     cross join lateral billing_period(l.tenant, l.period_start - interval '1 minute') as p
     where $3::timestamptz is null and l.period_start > now() - interval '35 days'
), places as (
    select p.tenant, m.metric, m.aggregation not in ('sum', 'count') as newest, p.period_start, p.period_end,
           c.customer, c.event_name, c.item
      from periods p
     cross join metrics m
     cross join lateral (
           select s.stripe_customer_id as customer, s.event_name, s.stripe_subscription_item_id as item
             from usage_submissions s
            where s.tenant = p.tenant and s.metric = m.metric
              and s.usage_at >= p.period_start and s.usage_at < p.period_end
              and not exists (select from billing_customers b
                               where b.stripe_customer_id = s.stripe_customer_id and b.deleted_at is not null)
           union
           select b.stripe_customer_id, m.stripe_event_name, i.stripe_subscription_item_id
             from billing_customers b
             left join subscription_items i on m.transport = 'usage_records' and i.metric = m.metric
                   and i.stripe_subscription_id = p.stripe_subscription_id
            where b.tenant = p.tenant and b.deleted_at is null and m.transport <> 'none'
              and (m.transport <> 'usage_records' or i.stripe_subscription_item_id is not null)
              and ($4::bool and m.retired_at is null or exists (
                   select from usage_totals t
                    where t.tenant = p.tenant and t.metric = m.metric
                      and t.period_start >= p.period_start and t.period_start < p.period_end))
           ) as c
     where $6::timestamptz is null
        or not exists (select from invoices v
                        where v.tenant = p.tenant and v.stripe_subscription_id = p.stripe_subscription_id
                          and v.finalized_at < $6 and v.status <> 'void'
                          and v.period_start < v.period_end and minute_of(v.period_end) = p.period_end)
)
select n.tenant, c.metric, c.customer, c.event_name, c.item, c.newest, c.period_start, c.period_end,
       extract(epoch from c.period_start)::int8 as start_s, extract(epoch from c.period_end)::int8 as end_s,
       to_char(c.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as period
  from tenants n
  left join places c on c.tenant = n.tenant
       and (not $7::bool
            or not is_place_proven(c.customer, coalesce(c.item, c.event_name), c.period_start, c.period_end)
               and not exists (select from usage_submissions s
                                where s.stripe_customer_id = c.customer and s.event_name = c.event_name
                                  and s.stripe_subscription_item_id is not distinct from c.item
                                  and s.usage_at >= c.period_start and s.usage_at < c.period_end
                                  and (s.state in ('pending', 'sending', 'in_doubt')
                                       or s.state = 'sent' and s.sent_at > now() - interval '10 minutes'
                                          and s.identifier not like 'ml-found-%')))
 order by n.tenant, c.metric, c.period_start, c.customer, c.event_name, c.item
