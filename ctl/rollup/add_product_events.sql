-- Note steps that tenants took; of several of one step, the first one.
-- $1 text: JSON array of [tenant, step, time]
INSERT INTO product_events AS e (tenant, step, occurred_at)
SELECT x.row ->> 0, x.row ->> 1, min((x.row ->> 2)::timestamptz)
  FROM jsonb_array_elements($1::jsonb) x (row)
 GROUP BY 1, 2
ON CONFLICT (tenant, step) DO UPDATE SET occurred_at = excluded.occurred_at WHERE excluded.occurred_at < e.occurred_at
