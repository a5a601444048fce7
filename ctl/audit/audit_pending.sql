-- Minute sums that wait to be folded and differ from the batches that wait: events and quantities of each metric that
-- is not derived from another. Batches that wait to be counted from their raw events must be there. At most 10.
WITH waiting AS MATERIALIZED (
    SELECT stream, batch FROM usage_pending WHERE NOT from_raw
), raw AS (
    SELECT b.stream, e.tenant, e.metric, count(*) AS events, sum(e.quantity) AS quantity
      FROM waiting w
      JOIN usage_batches b USING (stream, batch)
     CROSS JOIN LATERAL unnest(b.tenants, b.metrics, b.quantities, b.retracts) AS e (tenant, metric, quantity, retracts)
      JOIN metrics m ON m.metric = e.metric AND m.from_metric IS NULL
     WHERE coalesce(e.retracts, 0) = 0
     GROUP BY b.stream, e.tenant, e.metric
), sums AS (
    SELECT p.stream, e.tenant, e.metric, sum(e.events) AS events, sum(e.quantity) AS quantity
      FROM usage_pending p
     CROSS JOIN LATERAL unnest(p.tenants, p.metrics, p.events, p.sums) AS e (tenant, metric, events, quantity)
      JOIN metrics m ON m.metric = e.metric AND m.from_metric IS NULL
     GROUP BY p.stream, e.tenant, e.metric
)
SELECT stream, tenant, metric, coalesce(s.events, 0)::bigint AS pending_events, coalesce(r.events, 0) AS raw_events,
       trim_scale(coalesce(s.quantity, 0)) AS pending, trim_scale(coalesce(r.quantity, 0)) AS raw, NULL::bigint AS batch
  FROM sums s
  FULL JOIN raw r USING (stream, tenant, metric)
 WHERE (s.events, s.quantity) IS DISTINCT FROM (r.events::numeric, r.quantity)
UNION ALL
SELECT stream, NULL, NULL, 0, 0, 0, 0, batch
  FROM usage_pending p
 WHERE from_raw AND NOT EXISTS (SELECT FROM stream_batches b WHERE b.stream = p.stream AND b.batch = p.batch)
 LIMIT 10
