-- Usage of the current periods of some tenants, for the quota cache: 0 where a metric that was used lately has
-- no usage in the current period (it has just begun, or its edges moved). as_of: the last entry of the tenant's stream,
-- if all up to it is in the totals; else NULL.
-- $1 text[] tenants; $2 text[] the stream of each
WITH asked AS (
    SELECT k.tenant, CASE WHEN NOT EXISTS (SELECT FROM usage_pending p WHERE p.stream = k.stream)
                           AND NOT EXISTS (SELECT FROM usage_recounts r WHERE r.stream = k.stream)
                          THEN s.last_id END AS as_of
      FROM unnest($1::text[], $2::text[]) AS k (tenant, stream)
      LEFT JOIN stream_positions s USING (stream)
), newest AS (
    SELECT DISTINCT ON (t.tenant, t.metric) t.tenant, t.metric, t.quantity, t.period_end, a.as_of,
           max(t.version) OVER (PARTITION BY t.tenant, t.metric) AS version
      FROM asked a
      JOIN usage_totals t USING (tenant)
     WHERE t.period_end > now() - interval '70 days' AND t.period_start <= now()
     ORDER BY t.tenant, t.metric, t.period_start DESC
)
SELECT n.tenant, n.metric, CASE WHEN n.period_end > now() THEN n.quantity ELSE 0 END::text, n.version,
       (extract(epoch FROM CASE WHEN n.period_end > now() THEN n.period_end
                                ELSE (SELECT b.period_end FROM billing_period(n.tenant, now()) b) END)
        * 1000)::bigint AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::bigint AS used_at_ms, n.as_of
  FROM newest n
 ORDER BY n.tenant
