-- Tenants and metrics that carry their last value over and have usage or a total.
-- $1 text: one tenant, NULL: all; $2 text: one metric, NULL: all
SELECT k.tenant, k.metric
  FROM (SELECT a.tenant, a.metric FROM usage_aggregates a WHERE $1::text IS NULL OR a.tenant = $1::text
         UNION
        SELECT t.tenant, t.metric FROM usage_totals t WHERE $1::text IS NULL OR t.tenant = $1::text) k
  JOIN metrics m ON m.metric = k.metric AND m.carry
 WHERE $2::text IS NULL OR k.metric = $2::text
 ORDER BY k.tenant, k.metric
