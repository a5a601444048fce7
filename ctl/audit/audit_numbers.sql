-- Claims of a tenant's metric and period are numbered from 1, and each number has one submission, void ones included.
-- Those of which a number is missing, or there twice; at most 10.
WITH counted AS (
    SELECT tenant, metric, period_start, count(*) AS submissions, count(DISTINCT claim) AS numbers, min(claim) AS lowest,
           max(claim) AS highest
      FROM usage_submissions GROUP BY tenant, metric, period_start
)
SELECT tenant, metric, period_start, coalesce(s.submissions, 0) AS submissions,
       coalesce(greatest(s.highest, c.claims), c.claims) AS claims
  FROM counted s
  FULL JOIN usage_claims c USING (tenant, metric, period_start)
 WHERE (s.submissions, s.numbers, s.lowest, s.highest)
       IS DISTINCT FROM (s.highest::bigint, s.highest::bigint, 1, coalesce(c.claims, 0))
   AND (s.submissions IS NOT NULL OR c.claims > 0)
 ORDER BY tenant, metric, period_start
 LIMIT 10
