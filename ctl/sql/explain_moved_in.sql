-- Submissions that the invoice of a period holds for other periods, whose usage they count for: `late carry`.
-- $1 text: tenant; $2 text: metric; $3 timestamptz, $4 timestamptz: the period
select s.identifier, s.state, trim_scale(s.quantity) as quantity,
       to_char(s.usage_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as usage_at,
       to_char(own.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as period, s.request_id,
       to_char(s.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as sent_at
  from usage_submissions s
 cross join lateral submission_period(s.tenant, s.usage_at, s.period_start, true) own
 cross join lateral submission_period(s.tenant, s.usage_at, s.period_start, false) billed
 where s.tenant = $1::text and s.metric = $2::text and s.carried and s.state <> 'void'
   and s.usage_at >= $3::timestamptz and s.usage_at <= $4::timestamptz
   and billed.period_start = $3::timestamptz and own.period_start <> $3::timestamptz
 order by s.usage_at, s.claim
