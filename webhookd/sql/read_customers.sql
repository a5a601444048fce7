-- A customer's mapping, and which other customer has the tenant.
-- $1 text: Stripe's customer id
-- $2 text: tenant, or NULL if none is known
SELECT stripe_customer_id, tenant, (deleted_at IS NOT NULL)::integer AS deleted,
       coalesce(extract(epoch FROM event_created)::bigint, -1) AS created_s, coalesce(email, '') AS email
  FROM billing_customers
 WHERE stripe_customer_id = $1::text OR tenant = $2::text
   FOR UPDATE
