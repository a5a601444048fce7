-- Maps a tenant to a customer. The caller has checked, under the locks, that the tenant is free, is already this
-- customer's, or belonged to a deleted one.
-- $1 text: tenant
-- $2 text: Stripe's customer id
-- $3 text: email, or NULL
-- $4 boolean: deleted
-- $5 bigint: created of the event, Unix seconds; NULL if the event is not the customer's own
INSERT INTO billing_customers (tenant, stripe_customer_id, email, deleted_at, event_created)
VALUES ($1::text, $2::text, $3::text,
        CASE WHEN $4::boolean THEN 'epoch'::timestamptz + $5::bigint * interval '1 s' END,
        'epoch'::timestamptz + $5::bigint * interval '1 s')
    ON CONFLICT (tenant) DO UPDATE
   SET stripe_customer_id = excluded.stripe_customer_id, email = excluded.email,
       deleted_at = excluded.deleted_at,
       event_created = CASE WHEN billing_customers.stripe_customer_id = excluded.stripe_customer_id
                            THEN greatest(billing_customers.event_created, excluded.event_created)
                            ELSE excluded.event_created END,
       updated_at = now()
