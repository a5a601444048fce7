-- Versions of totals and claims that are impossible; at most 10. A claim has the version of the total it was made of
-- and then holds all of it, so that usage is never passed over. A total's version comes from the sequence, or is one
-- more than the one before.
WITH compared AS (
    SELECT t.tenant, t.metric, t.period_start, t.version, c.version AS claimed_version, trim_scale(t.quantity) AS quantity,
           trim_scale(c.claimed) AS claimed,
           CASE WHEN t.version < 1 OR t.version > (SELECT last_value FROM usage_version) + 100000
                THEN 'the total has a version that was never given'
                WHEN c.version > t.version THEN 'the claim is newer than its total'
                WHEN c.version = t.version AND m.transport <> 'none' AND c.claimed <> floor(t.quantity)
                     AND (m.aggregation IN ('sum', 'count') OR abs(floor(t.quantity)) <= 999999999999999)
                THEN 'the claim has the total''s version, and does not hold all of it' END AS what
      FROM usage_totals t
      JOIN metrics m USING (metric)
      LEFT JOIN usage_claims c USING (tenant, metric, period_start)
)
SELECT * FROM compared WHERE what IS NOT NULL
 ORDER BY tenant, metric, period_start
 LIMIT 10
