-- A tenant's limits as JSON: its plan's, its own, and those in force. No row: nobody knows the tenant.
-- $1 text: tenant
SELECT json_build_object(
           'tenant', $1::text, 'plan', p.plan,
           'limits', coalesce((
               SELECT json_agg(json_build_object(
                          'metric', m.metric,
                          'plan_limit', CASE WHEN l.metric IS NOT NULL THEN json_build_object(
                              'included', trim_scale(l.included)::text, 'cap', l.cap, 'window', l.limit_window,
                              'unit_price', trim_scale(l.overage_unit_price)::text, 'currency', l.currency) END,
                          'own_limit', CASE WHEN o.metric IS NOT NULL THEN json_build_object(
                              'included', trim_scale(o.included)::text, 'unlimited', o.unlimited, 'cap', o.cap,
                              'window', o.limit_window, 'until', o.until,
                              'unit_price', trim_scale(o.overage_unit_price)::text, 'currency', o.currency) END,
                          'in_force', CASE WHEN q.metric IS NOT NULL THEN json_build_object(
                              'limit', trim_scale(q.limit_quantity)::text, 'cap', q.cap, 'window', q.limit_window,
                              'grace_until', q.grace_until) END) ORDER BY m.metric)
                 FROM metrics m
                 LEFT JOIN plan_limits l ON l.plan = p.plan AND l.metric = m.metric
                 LEFT JOIN tenant_limits o ON o.tenant = $1 AND o.metric = m.metric AND (o.until > now()) IS NOT FALSE
                 LEFT JOIN usage_quotas q ON q.tenant = $1 AND q.metric = m.metric
                WHERE l.metric IS NOT NULL OR o.metric IS NOT NULL), '[]'))
  FROM (SELECT coalesce((deciding_subscription($1::text)).plan, 'free') AS plan) p
 WHERE is_known_tenant($1::text)
