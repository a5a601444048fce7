-- For each metric that adds up: what was aggregated = what is in submissions, by state, + what
-- visibly waits. Late is what a person has still to decide on; dropped, what was decided not to be billed. Carried
-- is below one and claimed with what comes; rounded, what was below one when its period ended.
WITH aggregated AS (
    SELECT metric, sum(quantity) AS quantity FROM usage_totals GROUP BY metric
), submitted AS (
    SELECT s.metric,
           sum(quantity) FILTER (WHERE state = 'pending') AS pending,
           sum(quantity) FILTER (WHERE state = 'sending') AS sending,
           sum(quantity) FILTER (WHERE state = 'sent') AS sent,
           sum(quantity) FILTER (WHERE state = 'held') AS held,
           sum(quantity) FILTER (WHERE state = 'failed') AS failed,
           sum(quantity) FILTER (WHERE state = 'in_doubt') AS in_doubt,
           sum(quantity) FILTER (WHERE state = 'late' AND decision IS DISTINCT FROM 'drop') AS late,
           sum(quantity) FILTER (WHERE state = 'late' AND decision = 'drop') AS dropped,
           sum(quantity) AS total
      FROM usage_submissions s
     WHERE state <> 'void'
     GROUP BY s.metric
), unbilled AS (
    SELECT u.metric,
           sum(quantity) FILTER (WHERE reason = 'waiting') AS waiting,
           sum(quantity) FILTER (WHERE reason = 'unmapped') AS unmapped,
           sum(quantity) FILTER (WHERE reason = 'before_subscription') AS before_subscription,
           sum(quantity) FILTER (WHERE reason = 'not_compared') AS not_compared,
           sum(quantity) FILTER (WHERE reason = 'not_billed') AS not_billed,
           sum(quantity) FILTER (WHERE reason = 'carried') AS carried,
           sum(quantity) FILTER (WHERE reason = 'rounded') AS rounded,
           sum(quantity) AS total
      FROM usage_unbilled u
     GROUP BY u.metric
)
SELECT m.metric, trim_scale(coalesce(a.quantity, 0)) AS aggregated,
       trim_scale(coalesce(s.pending, 0)) AS pending, trim_scale(coalesce(s.sending, 0)) AS sending,
       trim_scale(coalesce(s.sent, 0)) AS sent, trim_scale(coalesce(s.held, 0)) AS held,
       trim_scale(coalesce(s.failed, 0)) AS failed, trim_scale(coalesce(s.in_doubt, 0)) AS in_doubt,
       trim_scale(coalesce(s.late, 0)) AS late, trim_scale(coalesce(s.dropped, 0)) AS dropped,
       trim_scale(coalesce(u.waiting, 0)) AS waiting,
       trim_scale(coalesce(u.unmapped, 0)) AS unmapped,
       trim_scale(coalesce(u.before_subscription, 0)) AS before_subscription,
       trim_scale(coalesce(u.not_compared, 0)) AS not_compared,
       trim_scale(coalesce(u.not_billed, 0)) AS not_billed,
       trim_scale(coalesce(u.carried, 0)) AS carried, trim_scale(coalesce(u.rounded, 0)) AS rounded,
       trim_scale(coalesce(a.quantity, 0) - coalesce(s.total, 0) - coalesce(u.total, 0))
           AS difference
  FROM metrics m
  LEFT JOIN aggregated a USING (metric)
  LEFT JOIN submitted s USING (metric)
  LEFT JOIN unbilled u USING (metric)
 WHERE m.aggregation IN ('sum', 'count')
   AND (a.metric IS NOT NULL OR s.metric IS NOT NULL)
 ORDER BY m.metric
