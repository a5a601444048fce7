-- Puts into the outbox that payments were received: each once, whichever events tell of it. p_received: those of which
-- it was known before.
CREATE OR REPLACE FUNCTION tell_payments(p_payments text[], p_received text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    PERFORM add_message('payment_received', p.stripe_payment_id, p.tenant,
                        jsonb_build_object('payment', p.stripe_payment_id, 'invoice', p.stripe_invoice_id,
                                           'customer', p.stripe_customer_id, 'currency', p.currency,
                                           'amount_minor', p.amount_minor),
                        coalesce(p.paid_at, now()))
       FROM payments p
      WHERE p.stripe_payment_id = ANY (p_payments) AND p.status = 'succeeded' AND p.amount_minor > 0
        AND p.stripe_payment_id <> ALL (p_received);
END $$;

COMMENT ON FUNCTION tell_payments IS 'Puts into the outbox that payments were received.';
