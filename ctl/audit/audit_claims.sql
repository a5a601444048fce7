-- Claims that differ from what their submissions hold; at most 10. A submission belongs to a period by its claim or,
-- if the period's start or end has moved, by its usage_at; either is accepted until the sink looks. For values that
-- replace each other, what today's customer and meter hold is accepted too. Of those, a claim that will be summed up anew
-- before it is used, because its customer or meter was replaced, is not compared.
WITH compared AS (
    SELECT c.tenant, c.metric, c.period_start, t.period_end, c.claimed,
           m.aggregation IN ('sum', 'count') AS additive, m.stripe_event_name AS event_name, s.total, s.newest
      FROM usage_claims c
      JOIN usage_totals t USING (tenant, metric, period_start)
      JOIN metrics m USING (metric)
     CROSS JOIN LATERAL (
        SELECT coalesce(sum(quantity), 0) AS total,
               coalesce((array_agg(quantity ORDER BY claim DESC))[1], 0) AS newest
          FROM usage_submissions s
         WHERE s.tenant = c.tenant AND s.metric = c.metric AND s.state <> 'void'
           AND s.period_start = c.period_start AND s.usage_at >= c.period_start) s
     WHERE m.aggregation IN ('sum', 'count') OR (c.version, c.periods_version) <> (-1, -1)
)
SELECT c.tenant, c.metric, c.period_start, trim_scale(c.claimed) AS claimed,
       trim_scale(CASE WHEN c.additive THEN c.total ELSE c.newest END) AS submissions
  FROM compared c
 CROSS JOIN LATERAL sum_submissions(c.tenant, c.metric, c.period_start, c.period_end) h
 WHERE c.claimed <> CASE WHEN c.additive THEN c.total ELSE c.newest END
   AND c.claimed <> CASE WHEN c.additive THEN h.claimed + coalesce(h.held, 0)
                         ELSE coalesce(h.held, h.claimed) END
   AND (c.additive OR c.claimed <> (
        SELECT coalesce(n.held, n.claimed)
          FROM sum_submissions(c.tenant, c.metric, c.period_start, c.period_end,
                               (SELECT b.stripe_customer_id FROM billing_customers b WHERE b.tenant = c.tenant),
                               c.event_name) n))
 ORDER BY c.tenant, c.metric, c.period_start
 LIMIT 10
