-- Has webhook events worked again that failed or were ignored. Returns what was asked for, and whether that was done.
-- $1 jsonb: event ids, or NULL: by the filter; $2 text: state; $3 text: type, in which * stands for anything; $4 text: tenant;
-- $5 text: Stripe's customer id; $6 timestamptz: received since; $7 timestamptz: received before; each may be NULL
WITH wanted AS MATERIALIZED (
    SELECT e.event_id, e.state, e.payload IS NOT NULL AS has_payload
      FROM webhook_events e
      LEFT JOIN billing_history h ON h.event_id = e.event_id
      LEFT JOIN stripe_customers c ON c.stripe_customer_id = e.customer_id
     WHERE CASE WHEN $1::jsonb IS NULL THEN e.state IN ('failed', 'ignored')
                ELSE e.event_id IN (SELECT jsonb_array_elements_text($1::jsonb)) END
       AND ($2::text IS NULL OR e.state = $2::text)
       AND ($3::text IS NULL OR e.type LIKE replace(replace($3::text, '_', '\_'), '*', '%'))
       AND ($4::text IS NULL OR coalesce(h.tenant, c.tenant) = $4::text)
       AND ($5::text IS NULL OR e.customer_id = $5::text)
       AND ($6::timestamptz IS NULL OR e.received_at >= $6::timestamptz)
       AND ($7::timestamptz IS NULL OR e.received_at < $7::timestamptz)
), done AS (
    UPDATE webhook_events e
       SET state = 'received', attempts = 0, next_attempt_at = now(), error = NULL, processed_at = NULL
      FROM wanted w
     WHERE e.event_id = w.event_id AND e.state IN ('failed', 'ignored') AND e.payload IS NOT NULL
    RETURNING e.event_id
)
SELECT w.event_id, w.state, w.has_payload, d.event_id IS NOT NULL AS done
  FROM wanted w LEFT JOIN done d USING (event_id)
 ORDER BY w.event_id
