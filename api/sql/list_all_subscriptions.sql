-- A page of the subscriptions of all tenants, the newest first, each as JSON.
-- $1 text: id of the row before, or NULL; $2 bigint: how many; $3 text: status, or NULL; $4 text: plan, or NULL
-- $5 text: tenant, or NULL
SELECT json_build_object(
           'id', s.stripe_subscription_id, 'tenant', s.tenant, 'customer', s.stripe_customer_id, 'plan', s.plan,
           'status', s.status, 'quantity', s.plan_quantity, 'currency', s.currency, 'interval', s.billing_interval,
           'current_period_start', s.current_period_start, 'current_period_end', s.current_period_end,
           'started_at', s.started_at, 'trial_end', s.trial_end, 'cancel_at', s.cancel_at, 'ended_at', s.ended_at,
           'past_due_since', s.past_due_since)
  FROM subscriptions s
 WHERE ($1::text IS NULL OR (s.started_at, s.stripe_subscription_id) <
           (SELECT b.started_at, b.stripe_subscription_id FROM subscriptions b WHERE b.stripe_subscription_id = $1))
   AND ($3::text IS NULL OR s.status = $3)
   AND ($4::text IS NULL OR s.plan = $4)
   AND ($5::text IS NULL OR s.tenant = $5)
 ORDER BY s.started_at DESC, s.stripe_subscription_id DESC
 LIMIT $2::bigint
