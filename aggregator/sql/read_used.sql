-- Usage of the current periods of some tenants, for the quota cache.
-- $1 text[] tenants
SELECT t.tenant, t.metric, t.quantity::text, t.version,
       (extract(epoch FROM t.period_end) * 1000)::bigint AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::bigint AS used_at_ms
  FROM unnest($1::text[]) AS k (tenant)
  JOIN usage_totals t USING (tenant)
 WHERE t.period_start <= now() AND t.period_end > now()
 ORDER BY t.tenant
