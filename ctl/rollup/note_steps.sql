-- Steps in the product that are metrics of the same name: when each tenant first used one.
-- $1 text: the steps, as a JSON array of texts
INSERT INTO product_events AS e (tenant, step, occurred_at)
SELECT u.tenant, u.metric, f.at
  FROM (SELECT DISTINCT t.tenant, t.metric FROM usage_totals t
         WHERE t.metric IN (SELECT jsonb_array_elements_text($1::jsonb))) u
 CROSS JOIN LATERAL (SELECT min(a.minute_at) AS at FROM usage_aggregates a WHERE (a.tenant, a.metric) = (u.tenant, u.metric)) f
 WHERE f.at IS NOT NULL
ON CONFLICT (tenant, step) DO UPDATE SET occurred_at = excluded.occurred_at WHERE excluded.occurred_at < e.occurred_at
