-- Subscriptions of all tenants, the newest first.
-- $1 text: status, or NULL
-- $2 text: plan, or NULL
-- $3 text: tenant, or NULL
-- $4 bigint: how many
SELECT s.stripe_subscription_id AS subscription, s.tenant, s.plan, s.status, s.plan_quantity AS quantity, s.currency,
       s.billing_interval AS interval, s.current_period_end AS period_end, s.started_at, s.trial_end, s.cancel_at, s.ended_at,
       s.stripe_customer_id AS customer
  FROM subscriptions s
 WHERE ($1::text IS NULL OR s.status = $1)
   AND ($2::text IS NULL OR s.plan = $2)
   AND ($3::text IS NULL OR s.tenant = $3)
 ORDER BY s.started_at DESC, s.stripe_subscription_id DESC
 LIMIT $4::bigint
