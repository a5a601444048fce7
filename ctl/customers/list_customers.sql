-- Tenants and the customers that they are billed by. others: customers at Stripe that name the same tenant.
-- $1 boolean: only those of whom a person has to decide
SELECT b.tenant, b.stripe_customer_id AS customer, b.email,
       CASE WHEN b.contested_since IS NOT NULL THEN 'contested'
            WHEN b.deleted_at IS NOT NULL THEN 'deleted' ELSE 'billed' END AS state,
       (SELECT count(*) FROM subscriptions s
         WHERE s.tenant = b.tenant AND s.status NOT IN ('canceled', 'incomplete', 'incomplete_expired')) AS subscriptions,
       (SELECT string_agg(c.stripe_customer_id, ',' ORDER BY c.stripe_customer_id) FROM stripe_customers c
         WHERE c.tenant = b.tenant AND c.stripe_customer_id <> b.stripe_customer_id) AS others,
       b.contested_since
  FROM billing_customers b
 WHERE NOT $1::boolean OR b.contested_since IS NOT NULL
 ORDER BY b.tenant
