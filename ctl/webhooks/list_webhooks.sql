-- Webhook events with what became of them, newest first.
-- $1 text: state; $2 text: type, in which * stands for anything; $3 text: tenant; $4 text: Stripe's customer id;
-- $5 timestamptz: received since; $6 timestamptz: received before; $7 text: one event; each may be NULL; $8 bigint: how many
SELECT e.event_id, e.state, e.type, coalesce(h.tenant, c.tenant) AS tenant, e.customer_id AS customer, e.object_id AS object,
       e.created_at, e.received_at, e.processed_at, e.attempts,
       CASE WHEN e.state = 'received' THEN e.next_attempt_at END AS next_attempt_at, e.error, e.payload
  FROM webhook_events e
  LEFT JOIN billing_history h ON h.event_id = e.event_id
  LEFT JOIN stripe_customers c ON c.stripe_customer_id = e.customer_id
 WHERE ($1::text IS NULL OR e.state = $1::text)
   AND ($2::text IS NULL OR e.type LIKE replace(replace($2::text, '_', '\_'), '*', '%'))
   AND ($3::text IS NULL OR coalesce(h.tenant, c.tenant) = $3::text)
   AND ($4::text IS NULL OR e.customer_id = $4::text)
   AND ($5::timestamptz IS NULL OR e.received_at >= $5::timestamptz)
   AND ($6::timestamptz IS NULL OR e.received_at < $6::timestamptz)
   AND ($7::text IS NULL OR e.event_id = $7::text)
 ORDER BY e.received_at DESC, e.created_at DESC, e.event_id DESC
 LIMIT $8::bigint
