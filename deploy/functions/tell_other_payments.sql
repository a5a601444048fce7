-- Puts into the outbox that invoices were paid of which no payment is told: they were marked as paid outside Stripe, or
-- the events of payments are not sent to us. An hour is waited for these. Of charges that name no invoice, as in newer
-- versions of the API, one of the same amount at that time is taken for the payment.
CREATE OR REPLACE FUNCTION tell_other_payments() RETURNS bigint
LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE m.is_new)
      FROM invoices i
     CROSS JOIN LATERAL add_message(
           'payment_received', i.stripe_invoice_id, i.tenant,
           jsonb_build_object('payment', NULL, 'invoice', i.stripe_invoice_id, 'customer', i.stripe_customer_id,
                              'currency', i.currency, 'amount_minor', i.amount_paid_minor), i.paid_at) m (is_new)
     WHERE i.status = 'paid' AND i.amount_paid_minor > 0
       AND i.paid_at BETWEEN now() - interval '3 days' AND now() - interval '1 hour'
       AND i.updated_at < now() - interval '1 hour'
       AND NOT EXISTS (SELECT FROM payments p
                        WHERE p.tenant = i.tenant AND p.status = 'succeeded'
                          AND (p.stripe_invoice_id = i.stripe_invoice_id
                               OR p.stripe_invoice_id IS NULL AND p.currency = i.currency
                                  AND p.amount_minor = i.amount_paid_minor
                                  AND p.paid_at BETWEEN i.paid_at - interval '1 hour' AND i.paid_at + interval '1 hour'))
$$;

COMMENT ON FUNCTION tell_other_payments IS 'Puts into the outbox that invoices were paid of which no payment is told.';
