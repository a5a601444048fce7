-- Submissions, newest first.
-- $1 text: state; $2 text: tenant; $3 text: metric; $4 timestamptz: in the billing period that counts it; $5 timestamptz:
-- created since; $6 text: one identifier; each may be NULL; $7 bigint: how many
SELECT s.identifier, s.state, s.tenant, s.metric, trim_scale(s.quantity) AS quantity,
       to_char(s.usage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS usage_at,
       to_char(s.period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS period_start, s.carried, s.claim,
       s.attempts, s.request_id, s.last_error, s.decision,
       to_char(s.decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS decided_at,
       to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       CASE WHEN s.state = 'pending' THEN
            to_char(s.next_attempt_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END AS next_attempt_at,
       to_char(s.first_sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS first_sent_at,
       to_char(s.last_sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS last_sent_at,
       to_char(s.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS sent_at,
       s.owner, to_char(s.lease_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS lease_until,
       trim_scale(s.doubt_quantity) AS doubt_quantity,
       to_char(s.doubt_read_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS doubt_read_at,
       s.transport, s.stripe_customer_id, s.event_name, s.stripe_subscription_item_id, s.body
  FROM usage_submissions s
 WHERE ($1::text IS NULL OR s.state = $1::text)
   AND ($2::text IS NULL OR s.tenant = $2::text)
   AND ($3::text IS NULL OR s.metric = $3::text)
   AND ($4::timestamptz IS NULL OR EXISTS (
       SELECT FROM usage_totals t
        WHERE t.tenant = s.tenant AND t.metric = s.metric
          AND t.period_start <= $4::timestamptz AND $4::timestamptz < t.period_end
          AND (s.carried OR t.period_start <= s.usage_at AND s.usage_at <= t.period_end)
          AND (SELECT p.period_start
                 FROM submission_period(s.tenant, s.usage_at, s.period_start, s.carried) p) = t.period_start))
   AND ($5::timestamptz IS NULL OR s.created_at >= $5::timestamptz)
   AND ($6::text IS NULL OR s.identifier = $6::text)
 ORDER BY s.created_at DESC, s.identifier
 LIMIT $7::bigint
