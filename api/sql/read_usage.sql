-- A tenant's usage in its current billing period, of every metric in the catalog, as JSON.
-- $1 text: tenant
SELECT json_build_object(
           'tenant', $1::text, 'period_start', b.period_start, 'period_end', b.period_end,
           'metrics', coalesce((
               SELECT json_agg(json_build_object('metric', m.metric, 'unit', m.unit,
                                                 'quantity', trim_scale(coalesce(t.quantity, 0))::text,
                                                 'updated_at', t.updated_at) ORDER BY m.metric)
                 FROM metrics m
                 LEFT JOIN usage_totals t ON t.tenant = $1 AND t.metric = m.metric AND t.period_start = b.period_start
                WHERE m.retired_at IS NULL OR t.metric IS NOT NULL), '[]'))
  FROM billing_period($1::text, now()) b
