-- Maps a tenant to a customer. The caller has made sure, under the locks, that the tenant is free, is
-- this customer's already, or belonged to a deleted one.
-- $1 text: tenant
-- $2 text: Stripe's customer id
-- $3 text: email, or NULL
-- $4 boolean: deleted
-- $5 bigint: created of the event, Unix seconds; NULL if it was not the customer's own event
insert into billing_customers (tenant, stripe_customer_id, email, deleted_at, event_created)
values ($1::text, $2::text, $3::text,
        case when $4::boolean then 'epoch'::timestamptz + $5::bigint * interval '1 s' end,
        'epoch'::timestamptz + $5::bigint * interval '1 s')
    on conflict (tenant) do update
   set stripe_customer_id = excluded.stripe_customer_id, email = excluded.email,
       deleted_at = excluded.deleted_at,
       event_created = case when billing_customers.stripe_customer_id = excluded.stripe_customer_id
                            then greatest(billing_customers.event_created, excluded.event_created)
                            else excluded.event_created end,
       updated_at = now()
