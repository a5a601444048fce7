-- What tenants have used in their current billing periods, of every metric in the catalog, as JSON. A period that Stripe told is
-- looked up, and so is that nothing was ever told of a tenant, since billing_period takes ten times as long.
-- $1 text[]: tenants, each once. Returns each one's place among them and the JSON.
SELECT k.n, json_build_object('tenant', k.tenant, 'period_start', b.period_start, 'period_end', b.period_end,
                              'metrics', coalesce(u.metrics, '[]'))
  FROM unnest($1::text[]) WITH ORDINALITY k (tenant, n)
  LEFT JOIN LATERAL (
       SELECT p.period_start, p.period_end FROM billing_periods p
        WHERE p.tenant = k.tenant AND p.period_start <= now() ORDER BY p.period_start DESC LIMIT 1) t ON true
 CROSS JOIN LATERAL (
       SELECT t.period_start, t.period_end WHERE t.period_end > now()
       UNION ALL
       SELECT lower(m.span), upper(m.span) FROM usage_month(now()) m (span)
        WHERE t.period_start IS NULL AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.tenant = k.tenant)
          AND NOT EXISTS (SELECT FROM billing_periods p WHERE p.tenant = k.tenant)
       UNION ALL
       SELECT f.period_start, f.period_end
         FROM (SELECT WHERE (t.period_end > now()) IS NOT TRUE
                        AND (EXISTS (SELECT FROM subscriptions s WHERE s.tenant = k.tenant)
                             OR EXISTS (SELECT FROM billing_periods p WHERE p.tenant = k.tenant))) other
        CROSS JOIN LATERAL billing_period(k.tenant, now()) f) b
  LEFT JOIN LATERAL (
       SELECT json_agg(json_build_object('metric', m.metric, 'unit', m.unit, 'quantity', trim_scale(coalesce(t.quantity, 0))::text,
                                         'updated_at', t.updated_at) ORDER BY m.metric) AS metrics
         FROM metrics m
         LEFT JOIN usage_totals t ON t.tenant = k.tenant AND t.metric = m.metric AND t.period_start = b.period_start
        WHERE m.retired_at IS NULL OR t.metric IS NOT NULL) u ON true
