-- All customers of a tenant, or of the tenant that a customer belongs to, each with its subscriptions.
-- $1 text: tenant, or the id of a customer
SELECT c.tenant, c.stripe_customer_id AS customer,
       CASE WHEN b.stripe_customer_id IS NULL THEN CASE WHEN c.deleted_at IS NULL THEN 'superseded' ELSE 'deleted' END
            WHEN b.contested_since IS NOT NULL THEN 'contested'
            WHEN b.deleted_at IS NOT NULL THEN 'deleted' ELSE 'billed' END AS state,
       c.email, (ARRAY['the customer', 'a subscription', 'an invoice', 'a checkout'])[c.claim_rank + 1] AS named_by,
       s.subscription, s.status, s.plan, s.started_at, s.ended_at, c.created_at, c.chosen_at
  FROM stripe_customers c
  LEFT JOIN billing_customers b ON b.stripe_customer_id = c.stripe_customer_id AND b.tenant = c.tenant
  LEFT JOIN LATERAL (
       SELECT x.stripe_subscription_id AS subscription, x.status, x.plan, x.started_at, x.ended_at FROM subscriptions x
        WHERE x.stripe_customer_id = c.stripe_customer_id) s ON true
 WHERE c.tenant = coalesce((SELECT x.tenant FROM stripe_customers x WHERE x.stripe_customer_id = $1::text), $1::text)
    OR c.stripe_customer_id = $1::text
 ORDER BY b.stripe_customer_id IS NULL, c.created_at, c.stripe_customer_id, s.started_at, s.subscription
