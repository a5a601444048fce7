-- A page of the customers by which tenants are billed, by id, each as JSON.
-- $1 text: id of the row before, or NULL; $2 bigint: how many; $3 text: state, or NULL
SELECT json_build_object(
           'id', b.stripe_customer_id, 'tenant', b.tenant, 'email', b.email, 'state', x.state,
           'subscriptions', (SELECT count(*) FROM subscriptions s
                              WHERE s.tenant = b.tenant AND s.status NOT IN ('canceled', 'incomplete', 'incomplete_expired')),
           'updated_at', b.updated_at)
  FROM billing_customers b
 CROSS JOIN LATERAL (SELECT CASE WHEN b.contested_since IS NOT NULL THEN 'contested'
                                 WHEN b.deleted_at IS NOT NULL THEN 'deleted' ELSE 'billed' END AS state) x
 WHERE ($1::text IS NULL OR b.stripe_customer_id > $1)
   AND ($3::text IS NULL OR x.state = $3)
 ORDER BY b.stripe_customer_id
 LIMIT $2::bigint
