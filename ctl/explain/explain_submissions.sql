-- The submissions that count for a period, and what each adds to its total. Sums add up; of other metrics the newest
-- value counts, if it is the total's.
-- $1 text: tenant; $2 text: metric; $3 timestamptz, $4 timestamptz: the period
-- $5 numeric: its total; $6 boolean: nothing of it is in a submission
SELECT s.identifier, CASE WHEN s.state = 'late' AND s.decision = 'drop' THEN 'dropped' ELSE s.state END AS state,
       trim_scale(s.quantity) AS quantity,
       trim_scale(CASE WHEN m.aggregation IN ('sum', 'count') THEN s.quantity
                       WHEN NOT $6::boolean AND s.quantity = floor($5::numeric)
                            AND row_number() OVER (ORDER BY s.usage_at DESC, s.claim DESC) = 1 THEN s.quantity
                       ELSE 0 END) AS adds,
       to_char(s.usage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS usage_at, s.carried,
       -- Where it is billed, if its usage came too late for its own invoice.
       CASE WHEN b.period_start <> $3::timestamptz
            THEN to_char(b.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') END AS period, s.request_id,
       to_char(s.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS sent_at, s.last_error
  FROM usage_submissions s
  JOIN metrics m USING (metric)
  LEFT JOIN LATERAL submission_period(s.tenant, s.usage_at, s.period_start, false) b ON s.carried
 WHERE s.tenant = $1::text AND s.metric = $2::text AND s.state <> 'void'
   AND (s.carried OR s.usage_at >= $3::timestamptz AND s.usage_at <= $4::timestamptz)
   AND (SELECT p.period_start FROM submission_period(s.tenant, s.usage_at, s.period_start, s.carried) p) = $3::timestamptz
 ORDER BY s.usage_at, s.claim
