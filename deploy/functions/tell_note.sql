-- Puts into the outbox what a line of the history tells that changes nothing of ours: disputes, and an invoice that is
-- about to be made. What is older than three days, for which Stripe repeats a delivery, is over and not told. Returns
-- whether there is something to tell that was not told before.
CREATE OR REPLACE FUNCTION tell_note(p_kind text, p_object text, p_event text, p_tenant text, p_detail jsonb,
                                     p_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    note jsonb := p_detail -> 'after';
BEGIN
    IF p_at < now() - interval '3 days' THEN
        RETURN false;
    END IF;
    IF p_kind = 'invoice_upcoming' THEN
        RETURN add_message('invoice_upcoming',
                           coalesce((note ->> 'subscription') || ' ' || (note ->> 'next_payment_attempt'), p_event), p_tenant,
                           jsonb_build_object('subscription', note -> 'subscription', 'currency', note -> 'currency',
                                              'amount_due_minor', note -> 'amount_due',
                                              'next_attempt_at', fact_time(note, 'next_payment_attempt')), p_at);
    END IF;
    IF p_kind = 'charge_dispute_created'
       AND EXISTS (SELECT FROM billing_history h
                    WHERE h.tenant = p_tenant AND h.kind = 'charge_dispute_closed' AND h.object_id = p_object) THEN
        RETURN false;   -- it has been closed
    END IF;
    RETURN add_message(CASE p_kind WHEN 'charge_dispute_created' THEN 'dispute_opened' ELSE 'dispute_closed' END, p_object,
                       p_tenant,
                       jsonb_build_object('dispute', p_object, 'charge', note -> 'charge', 'status', note -> 'status',
                                          'reason', note -> 'reason', 'currency', note -> 'currency',
                                          'amount_minor', note -> 'amount'), p_at);
END $$;

COMMENT ON FUNCTION tell_note IS 'Puts disputes and upcoming invoices into the outbox.';
