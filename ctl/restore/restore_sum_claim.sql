-- What is claimed of a period after something was adopted. The next claim sums it up again.
-- $1 text tenant, $2 text metric, $3 timestamptz, $4 timestamptz: the period
INSERT INTO usage_claims AS c (tenant, metric, period_start, version, claimed, claims, first_at, last_at,
                               periods_version)
SELECT $1, $2, $3::timestamptz, -1,
       coalesce(CASE WHEN m.aggregation IN ('sum', 'count') THEN sum(s.quantity)
                     ELSE (array_agg(s.quantity ORDER BY s.usage_at DESC))[1] END, 0),
       (SELECT coalesce(max(n.claim), 0) FROM usage_submissions n
         WHERE n.tenant = $1 AND n.metric = $2 AND n.period_start = $3::timestamptz
           AND n.usage_at >= $3::timestamptz),
       min(s.usage_at), max(s.usage_at), -1
  FROM metrics m
  LEFT JOIN usage_submissions s ON s.tenant = $1 AND s.metric = $2 AND s.state <> 'void'
       AND (NOT s.carried AND s.usage_at >= $3::timestamptz AND s.usage_at < $4::timestamptz
            OR s.carried AND s.period_start = $3::timestamptz)
 WHERE m.metric = $2
 GROUP BY m.aggregation
    ON CONFLICT (tenant, metric, period_start) DO UPDATE
   SET version = -1, periods_version = -1, claimed = excluded.claimed,
       claims = greatest(c.claims, excluded.claims), first_at = excluded.first_at, last_at = excluded.last_at
