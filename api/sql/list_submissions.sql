-- A page of what was submitted to Stripe of a tenant's usage, the newest first, each row as JSON.
-- $1 text: tenant; $2 text: id of the row before, or NULL; $3 bigint: how many; $4 text: metric, or NULL; $5 text: state, or NULL;
-- $6 boolean: for a portal token, which is not to know what Stripe told the operator
SELECT json_build_object('id', u.identifier, 'metric', u.metric, 'state', u.state, 'quantity', trim_scale(u.quantity)::text,
                         'period_start', u.period_start, 'usage_at', u.usage_at, 'transport', u.transport, 'attempts', u.attempts,
                         'created_at', u.created_at, 'sent_at', u.sent_at,
                         'last_error', CASE WHEN NOT $6::boolean THEN u.last_error END)
  FROM usage_submissions u
  LEFT JOIN usage_submissions b ON b.identifier = $2::text AND b.tenant = $1::text
 WHERE u.tenant = $1::text
   AND ($2::text IS NULL OR (u.created_at, u.identifier) < (b.created_at, b.identifier))
   AND ($4::text IS NULL OR u.metric = $4) AND ($5::text IS NULL OR u.state = $5)
 ORDER BY u.created_at DESC, u.identifier DESC
 LIMIT $3::bigint
