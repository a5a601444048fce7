-- Submissions on a period's invoice whose usage belongs to other periods, because of `late carry`.
-- $1 text: tenant; $2 text: metric; $3 timestamptz, $4 timestamptz: the period
SELECT s.identifier, s.state, trim_scale(s.quantity) AS quantity,
       to_char(s.usage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS usage_at,
       to_char(own.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS period, s.request_id,
       to_char(s.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS sent_at
  FROM usage_submissions s
 CROSS JOIN LATERAL submission_period(s.tenant, s.usage_at, s.period_start, true) own
 CROSS JOIN LATERAL submission_period(s.tenant, s.usage_at, s.period_start, false) billed
 WHERE s.tenant = $1::text AND s.metric = $2::text AND s.carried AND s.state <> 'void'
   AND s.usage_at >= $3::timestamptz AND s.usage_at <= $4::timestamptz
   AND billed.period_start = $3::timestamptz AND own.period_start <> $3::timestamptz
 ORDER BY s.usage_at, s.claim
