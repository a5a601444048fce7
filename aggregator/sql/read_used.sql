-- Usage of the current periods of some tenants, for the quota cache: 0 where a metric that was used lately has
-- no usage in the current period (it has just begun, or its edges moved).
-- $1 text[] tenants
WITH newest AS (
    SELECT DISTINCT ON (t.tenant, t.metric) t.tenant, t.metric, t.quantity, t.period_end,
           max(t.version) OVER (PARTITION BY t.tenant, t.metric) AS version
      FROM unnest($1::text[]) AS k (tenant)
      JOIN usage_totals t USING (tenant)
     WHERE t.period_end > now() - interval '70 days' AND t.period_start <= now()
     ORDER BY t.tenant, t.metric, t.period_start DESC
)
SELECT n.tenant, n.metric, CASE WHEN n.period_end > now() THEN n.quantity ELSE 0 END::text, n.version,
       (extract(epoch FROM CASE WHEN n.period_end > now() THEN n.period_end
                                ELSE (SELECT b.period_end FROM billing_period(n.tenant, now()) b) END)
        * 1000)::bigint AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::bigint AS used_at_ms
  FROM newest n
 ORDER BY n.tenant
