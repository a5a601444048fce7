-- An invoice as the API gives it, without its lines.
CREATE OR REPLACE FUNCTION invoice_shown(p_invoice invoices) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'id', (p_invoice).stripe_invoice_id, 'number', (p_invoice).number, 'status', (p_invoice).status,
    'subscription', (p_invoice).stripe_subscription_id, 'billing_reason', (p_invoice).billing_reason,
    'collection_method', (p_invoice).collection_method,
    'subtotal', shown_amount(to_jsonb((p_invoice).subtotal_minor), (p_invoice).currency),
    'tax', shown_amount(to_jsonb((p_invoice).tax_minor), (p_invoice).currency),
    'total', shown_amount(to_jsonb((p_invoice).total_minor), (p_invoice).currency),
    'amount_due', shown_amount(to_jsonb((p_invoice).amount_due_minor), (p_invoice).currency),
    'amount_paid', shown_amount(to_jsonb((p_invoice).amount_paid_minor), (p_invoice).currency),
    'amount_remaining', shown_amount(to_jsonb((p_invoice).amount_remaining_minor), (p_invoice).currency),
    'attempt_count', (p_invoice).attempt_count, 'next_payment_attempt', time_text((p_invoice).next_payment_attempt),
    'due_at', time_text((p_invoice).due_at), 'created_at', time_text((p_invoice).created_at),
    'period_start', time_text((p_invoice).period_start), 'period_end', time_text((p_invoice).period_end),
    'finalized_at', time_text((p_invoice).finalized_at), 'paid_at', time_text((p_invoice).paid_at),
    'has_pdf', (p_invoice).finalized_at IS NOT NULL AND (p_invoice).status <> 'draft');

COMMENT ON FUNCTION invoice_shown IS 'An invoice as the API gives it, without its lines.';
