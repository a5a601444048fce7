-- Stores an invoice, unless the stored one is newer. Events of the same second are ordered by how far the invoice has
-- come.
-- $1 text: Stripe's invoice id
-- $2 text: tenant
-- $3 text: Stripe's customer id
-- $4 text: Stripe's subscription id, or NULL
-- $5 text: status (draft, open, paid, uncollectible, void)
-- $6 text: currency
-- $7 bigint: amount due, minor units; $8 bigint: amount paid, minor units
-- $9 bigint, $10 bigint: the period whose usage it bills, Unix seconds, or NULL
-- $11 bigint: finalized, Unix seconds, or NULL
-- $12 bigint: created of the event, Unix seconds
INSERT INTO invoices AS i (
       stripe_invoice_id, tenant, stripe_customer_id, stripe_subscription_id, status, currency,
       amount_due_minor, amount_paid_minor, period_start, period_end, finalized_at, event_created)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bigint, $8::bigint,
        'epoch'::timestamptz + $9::bigint * interval '1 s',
        'epoch'::timestamptz + $10::bigint * interval '1 s',
        'epoch'::timestamptz + $11::bigint * interval '1 s',
        'epoch'::timestamptz + $12::bigint * interval '1 s')
    ON CONFLICT (stripe_invoice_id) DO UPDATE
   SET status = excluded.status, currency = excluded.currency,
       amount_due_minor = excluded.amount_due_minor, amount_paid_minor = excluded.amount_paid_minor,
       period_start = excluded.period_start, period_end = excluded.period_end,
       finalized_at = coalesce(i.finalized_at, excluded.finalized_at),
       event_created = excluded.event_created, updated_at = now()
 WHERE i.event_created IS NULL
    OR (i.event_created, array_position(ARRAY['draft', 'open'], i.status) IS NULL,
        i.status = 'open')
    <= (excluded.event_created, array_position(ARRAY['draft', 'open'], excluded.status) IS NULL,
        excluded.status = 'open')
