-- The quotas of a tenant, or of all that have limits of their own: those in force, the plan's, and their own.
-- $1 text: tenant, or NULL
WITH who AS (
    SELECT $1::text AS tenant WHERE $1::text IS NOT NULL
    UNION
    SELECT DISTINCT tenant FROM tenant_limits WHERE $1::text IS NULL AND (until > now()) IS NOT FALSE
), planned AS (
    SELECT w.tenant, coalesce((deciding_subscription(w.tenant)).plan, 'free') AS plan FROM who w
)
SELECT p.tenant, l.metric, p.plan,
       CASE WHEN q.cap IS NOT NULL THEN coalesce(trim_scale(q.limit_quantity)::text, 'unlimited') END AS "limit",
       q.limit_window AS "window", q.cap, trim_scale(get_window_usage(p.tenant, l.metric))::text AS used,
       upper(limit_window(p.tenant, coalesce(q.limit_window, 'period'), now())) AS resets_at, q.grace_until,
       coalesce(trim_scale(l.included)::text, 'unlimited') AS plan_limit, l.limit_window AS plan_window, l.cap AS plan_cap,
       CASE WHEN o.unlimited THEN 'unlimited' ELSE trim_scale(o.included)::text END AS own_limit,
       o.limit_window AS own_window, o.cap AS own_cap, o.until AS own_until,
       trim_scale(o.overage_unit_price)::text AS own_price, o.currency AS own_currency
  FROM planned p
  JOIN plan_limits l ON l.plan = p.plan
  LEFT JOIN usage_quotas q ON q.tenant = p.tenant AND q.metric = l.metric
  LEFT JOIN tenant_limits o ON o.tenant = p.tenant AND o.metric = l.metric AND (o.until > now()) IS NOT FALSE
 ORDER BY p.tenant, l.metric
