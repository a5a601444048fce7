-- Usage of some tenants for the quota cache, over the windows that their limits count over: 0 where a metric that was
-- used lately has no usage in the current one (it has just begun, or its edges moved). as_of: the last entry of the
-- tenant's stream, if all up to it is in the totals; else NULL. Ask open_windows.sql first.
-- $1 text[] tenants; $2 text[] the stream of each
WITH asked AS (
    SELECT k.tenant, CASE WHEN NOT EXISTS (SELECT FROM usage_pending p WHERE p.stream = k.stream)
                           AND NOT EXISTS (SELECT FROM usage_recounts r WHERE r.stream = k.stream)
                          THEN s.last_id END AS as_of
      FROM unnest($1::text[], $2::text[]) AS k (tenant, stream)
      LEFT JOIN stream_positions s USING (stream)
), newest AS (
    SELECT DISTINCT ON (t.tenant, t.metric) t.tenant, t.metric, t.quantity, t.period_end, a.as_of,
           max(t.version) OVER w AS version, max(o.ends) OVER w AS window_end, sum(o.part) OVER w AS sum,
           max(o.part) OVER w AS greatest
      FROM asked a
      JOIN usage_totals t USING (tenant)
      LEFT JOIN LATERAL (SELECT t.window_end AS ends, t.window_quantity AS part
                          WHERE t.window_start <= now() AND now() < t.window_end) o ON true
     WHERE t.period_end > now() - interval '70 days' AND t.period_start <= now()
    WINDOW w AS (PARTITION BY t.tenant, t.metric)
     ORDER BY t.tenant, t.metric, t.period_start DESC
)
SELECT n.tenant, n.metric,
       CASE WHEN n.window_end IS NOT NULL
            THEN coalesce(CASE m.aggregation WHEN 'max' THEN n.greatest ELSE n.sum END, 0)
            WHEN n.period_end > now() THEN n.quantity ELSE 0 END::text, n.version,
       (extract(epoch FROM CASE WHEN n.window_end IS NOT NULL THEN n.window_end
                                WHEN n.period_end > now() THEN n.period_end
                                ELSE upper(limit_window(n.tenant, window_kind(n.tenant, n.metric), now())) END)
        * 1000)::bigint AS period_end_ms,
       (extract(epoch FROM now()) * 1000)::bigint AS used_at_ms, n.as_of
  FROM newest n
  JOIN metrics m USING (metric)
 ORDER BY n.tenant
