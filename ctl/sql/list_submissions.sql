-- Submissions, the newest first.
-- $1 text: state; $2 text: tenant; $3 text: metric; $4 timestamptz: in the billing period that counts it; $5 timestamptz:
-- created since; $6 text: one identifier; each may be NULL; $7 bigint: how many
select s.identifier, s.state, s.tenant, s.metric, trim_scale(s.quantity) as quantity,
       to_char(s.usage_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as usage_at,
       to_char(s.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as period_start, s.carried, s.claim,
       s.attempts, s.request_id, s.last_error, s.decision,
       to_char(s.decided_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as decided_at,
       to_char(s.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at,
       case when s.state = 'pending' then
            to_char(s.next_attempt_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end as next_attempt_at,
       to_char(s.first_sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as first_sent_at,
       to_char(s.last_sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as last_sent_at,
       to_char(s.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as sent_at,
       s.owner, to_char(s.lease_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as lease_until,
       trim_scale(s.doubt_quantity) as doubt_quantity,
       to_char(s.doubt_read_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as doubt_read_at,
       s.transport, s.stripe_customer_id, s.event_name, s.stripe_subscription_item_id, s.body
  from usage_submissions s
 where ($1::text is null or s.state = $1::text)
   and ($2::text is null or s.tenant = $2::text)
   and ($3::text is null or s.metric = $3::text)
   and ($4::timestamptz is null or exists (
       select from usage_totals t
        where t.tenant = s.tenant and t.metric = s.metric
          and t.period_start <= $4::timestamptz and $4::timestamptz < t.period_end
          and (s.carried or t.period_start <= s.usage_at and s.usage_at <= t.period_end)
          and (select p.period_start
                 from submission_period(s.tenant, s.usage_at, s.period_start, s.carried) p) = t.period_start))
   and ($5::timestamptz is null or s.created_at >= $5::timestamptz)
   and ($6::text is null or s.identifier = $6::text)
 order by s.created_at desc, s.identifier
 limit $7::bigint
