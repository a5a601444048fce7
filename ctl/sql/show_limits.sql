-- The limits of a tenant, or of all that have any of their own: what holds, the plan's, and their own.
-- $1 text: tenant, or NULL
with who as (
    select $1::text as tenant where $1::text is not null
    union
    select distinct tenant from tenant_limits where $1::text is null
), planned as (
    select w.tenant, coalesce((deciding_subscription(w.tenant)).plan, 'free') as plan from who w
)
select p.tenant, l.metric, p.plan,
       case when q.cap is not null then coalesce(trim_scale(q.limit_quantity)::text, 'unlimited') end as "limit",
       q.cap, trim_scale(get_current_usage(p.tenant, l.metric))::text as used, q.grace_until,
       coalesce(trim_scale(l.included)::text, 'unlimited') as plan_limit, l.cap as plan_cap,
       case when o.unlimited then 'unlimited' else trim_scale(o.included)::text end as own_limit, o.cap as own_cap,
       trim_scale(o.overage_unit_price)::text as own_price, o.currency as own_currency
  from planned p
  join plan_limits l on l.plan = p.plan
  left join usage_quotas q on q.tenant = p.tenant and q.metric = l.metric
  left join tenant_limits o on o.tenant = p.tenant and o.metric = l.metric
 order by p.tenant, l.metric
