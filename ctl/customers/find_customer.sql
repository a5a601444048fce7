-- Whose is a customer, and may a tenant be billed by it?
-- $1 text: tenant
-- $2 text: id of the customer
SELECT coalesce(c.tenant, '') AS tenant, c.deleted_at IS NOT NULL AS is_deleted, b.stripe_customer_id IS NOT NULL AS is_billed,
       (SELECT count(*) FROM subscriptions s
         WHERE s.tenant = $1::text AND s.stripe_customer_id <> c.stripe_customer_id
           AND s.status NOT IN ('canceled', 'incomplete', 'incomplete_expired')) AS others
  FROM stripe_customers c
  LEFT JOIN billing_customers b
    ON b.tenant = $1::text AND b.stripe_customer_id = c.stripe_customer_id AND b.contested_since IS NULL
 WHERE c.stripe_customer_id = $2::text
