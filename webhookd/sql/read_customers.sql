-- The customer's mapping, and who else holds the tenant.
-- $1 text: Stripe's customer id
-- $2 text: tenant, or NULL if none is known
select stripe_customer_id, tenant, (deleted_at is not null)::integer as deleted,
       coalesce(extract(epoch from event_created)::bigint, -1) as created_s, coalesce(email, '') as email
  from billing_customers
 where stripe_customer_id = $1::text or tenant = $2::text
   for update
