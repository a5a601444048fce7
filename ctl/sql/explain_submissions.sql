-- The submissions that count for a period, and what each adds to its total: sums add up; of others the newest value counts,
-- if it is the total's.
-- $1 text: tenant; $2 text: metric; $3 timestamptz, $4 timestamptz: the period
-- $5 numeric: its total; $6 boolean: nothing of it is in a submission
select s.identifier, case when s.state = 'late' and s.decision = 'drop' then 'dropped' else s.state end as state,
       trim_scale(s.quantity) as quantity,
       trim_scale(case when m.aggregation in ('sum', 'count') then s.quantity
                       when not $6::boolean and s.quantity = floor($5::numeric)
                            and row_number() over (order by s.usage_at desc, s.claim desc) = 1 then s.quantity
                       else 0 end) as adds,
       to_char(s.usage_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as usage_at, s.carried,
       -- Where it is billed, if its usage came too late for its own invoice.
       case when b.period_start <> $3::timestamptz
            then to_char(b.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') end as period, s.request_id,
       to_char(s.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as sent_at, s.last_error
  from usage_submissions s
  join metrics m using (metric)
  left join lateral submission_period(s.tenant, s.usage_at, s.period_start, false) b on s.carried
 where s.tenant = $1::text and s.metric = $2::text and s.state <> 'void'
   and (s.carried or s.usage_at >= $3::timestamptz and s.usage_at <= $4::timestamptz)
   and (select p.period_start from submission_period(s.tenant, s.usage_at, s.period_start, s.carried) p) = $3::timestamptz
 order by s.usage_at, s.claim
