-- What an invoice of Stripe's comes to, of all versions of its API. total_taxes from 2025-03-31.basil, `tax` before.
CREATE OR REPLACE FUNCTION stripe_invoice_sums(p_invoice jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'subtotal', p_invoice -> 'subtotal', 'total', p_invoice -> 'total', 'amount_due', p_invoice -> 'amount_due',
    'discount', (SELECT coalesce(sum((d ->> 'amount')::numeric), 0)
                   FROM jsonb_array_elements(CASE jsonb_typeof(p_invoice -> 'total_discount_amounts')
                                                  WHEN 'array' THEN p_invoice -> 'total_discount_amounts' ELSE '[]' END) d),
    'tax', CASE WHEN jsonb_typeof(p_invoice -> 'total_taxes') = 'array'
                THEN to_jsonb((SELECT coalesce(sum((t ->> 'amount')::numeric), 0)
                                 FROM jsonb_array_elements(p_invoice -> 'total_taxes') t))
                ELSE coalesce(NULLIF(p_invoice -> 'tax', 'null'), '0') END);

COMMENT ON FUNCTION stripe_invoice_sums IS 'What an invoice of Stripe''s comes to.';
