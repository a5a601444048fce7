-- One subscription, or all of a tenant, the one that decides its plan first.
-- $1 text: id of the subscription, or tenant
SELECT s.stripe_subscription_id AS subscription, s.tenant, s.stripe_customer_id AS customer, s.plan,
       s.plan_quantity AS quantity, s.status, s.currency, s.billing_interval AS interval, s.interval_count,
       s.current_period_start AS period_start, s.current_period_end AS period_end, s.started_at, s.trial_start, s.trial_end,
       s.past_due_since, s.cancel_at, s.canceled_at, s.cancel_reason, s.ended_at, s.collection_paused, s.collection_method,
       s.billing_mode, s.schedule, s.latest_invoice, s.updated_at
  FROM subscriptions s
 WHERE s.stripe_subscription_id = $1::text OR s.tenant = $1::text
 ORDER BY s.stripe_subscription_id IS DISTINCT FROM (deciding_subscription(s.tenant)).stripe_subscription_id,
          s.started_at DESC, s.stripe_subscription_id
