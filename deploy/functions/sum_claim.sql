-- Writes what the submissions of a period hold into its claim. Whoever moves submissions to another period, or adds one
-- that no sink made, calls this for each period concerned, in the same transaction and under the claimers' lock: sinks
-- sum up anew only what they may claim, and until then a unit would stand in two claims or in none. The next claimer looks
-- at the total again. A claim that holds just that is left alone.
CREATE OR REPLACE FUNCTION sum_claim(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO usage_claims AS c (tenant, metric, period_start, version, claimed, claims, first_at, last_at, periods_version)
    SELECT p_tenant, p_metric, p_start, -1, x.claimed, x.claims, x.first_at, x.last_at, -1
      FROM (SELECT CASE WHEN m.aggregation IN ('sum', 'count') THEN s.claimed + coalesce(s.held, 0)
                        ELSE coalesce(s.held, s.claimed) END AS claimed,
                   coalesce((SELECT max(n.claim) FROM usage_submissions n
                              WHERE n.tenant = p_tenant AND n.metric = p_metric AND n.period_start = p_start
                                AND n.usage_at >= p_start), 0) AS claims,
                   s.first_at, s.last_at
              FROM metrics m, sum_submissions(p_tenant, p_metric, p_start, p_end) s
             WHERE m.metric = p_metric) x
     WHERE x.claimed <> 0 OR x.claims > 0 OR x.first_at IS NOT NULL
        OR EXISTS (SELECT FROM usage_claims o WHERE o.tenant = p_tenant AND o.metric = p_metric AND o.period_start = p_start)
    ON CONFLICT (tenant, metric, period_start) DO UPDATE
       SET version = -1, periods_version = -1, claimed = excluded.claimed, claims = greatest(c.claims, excluded.claims),
           first_at = excluded.first_at, last_at = excluded.last_at
     WHERE c.claimed <> excluded.claimed OR c.claims < excluded.claims
$$;

COMMENT ON FUNCTION sum_claim IS 'Writes what the submissions of a period hold into its claim.';
REVOKE ALL ON FUNCTION sum_claim FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sum_claim TO meterline_ctl;
