-- Puts into the outbox that invoices were paid of which no payment is told: they were marked as paid outside Stripe, or
-- the events of payments are not sent to us. An hour is waited for these. Of charges that name no invoice, as in newer
-- versions of the API, one of the same amount at that time is taken for the payment. Returns how many were told.
CREATE OR REPLACE FUNCTION tell_other_payments() RETURNS bigint
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT i.* FROM invoices i
         WHERE i.status = 'paid' AND i.amount_paid_minor > 0
           AND i.paid_at BETWEEN now() - interval '3 days' AND now() - interval '1 hour'
           AND i.updated_at < now() - interval '1 hour'
           AND NOT EXISTS (SELECT FROM payments p
                            WHERE p.tenant = i.tenant AND p.status = 'succeeded'
                              AND (p.stripe_invoice_id = i.stripe_invoice_id
                                   OR p.stripe_invoice_id IS NULL AND p.currency = i.currency
                                      AND p.amount_minor = i.amount_paid_minor
                                      AND p.paid_at BETWEEN i.paid_at - interval '1 hour' AND i.paid_at + interval '1 hour'))
    ), told AS MATERIALIZED (
        SELECT add_message('payment_received', d.stripe_invoice_id, d.tenant,
                           jsonb_build_object('payment', NULL, 'invoice', d.stripe_invoice_id, 'customer', d.stripe_customer_id,
                                              'currency', d.currency, 'amount_minor', d.amount_paid_minor), d.paid_at) AS is_new
          FROM due d
    )
    SELECT count(*) FROM told WHERE is_new
$$;

COMMENT ON FUNCTION tell_other_payments IS 'Puts into the outbox that invoices were paid of which no payment is told.';
