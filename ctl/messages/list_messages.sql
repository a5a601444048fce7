-- Messages with what became of them, newest first: a row for each way that one goes.
-- $1 text: state; $2 text: kind, in which * stands for anything; $3 text: tenant; $4 text: channel; $5 timestamptz: made
-- since; $6 timestamptz: made before; $7 text: one message; each may be NULL; $8 bigint: how many
SELECT m.message_id, m.channel, m.state, m.kind, m.tenant, nullif(regexp_replace(m.destination, '^([a-z]+://[^/?#@:]*):[^/?#@]*@', '\1:***@', 'i'), '') AS destination, m.occurred_at,
       m.created_at, m.sent_at, m.attempts,
       CASE WHEN m.state = 'waiting' THEN greatest(m.next_attempt_at, f.retry_at, m.lease_until) END AS next_attempt_at,
       m.error, f.failing_since AS address_failing_since, f.failures AS address_failures, m.data::text AS data
  FROM outgoing_messages m
  LEFT JOIN failing_addresses f ON f.channel = m.channel AND f.destination = m.destination
 WHERE ($1::text IS NULL OR m.state = $1::text)
   AND ($2::text IS NULL OR m.kind LIKE replace(replace($2::text, '_', '\_'), '*', '%'))
   AND ($3::text IS NULL OR m.tenant = $3::text)
   AND ($4::text IS NULL OR m.channel = $4::text)
   AND ($5::timestamptz IS NULL OR m.created_at >= $5::timestamptz)
   AND ($6::timestamptz IS NULL OR m.created_at < $6::timestamptz)
   AND ($7::text IS NULL OR m.message_id = $7::text)
 ORDER BY m.created_at DESC, m.message_id DESC, m.channel DESC
 LIMIT $8::bigint
