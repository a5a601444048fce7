-- One line of an invoice that is a proration. Pure; part of preview_lines.
CREATE OR REPLACE FUNCTION preview_line(p_kind text, p_item text, p_price stripe_prices, p_quantity numeric, p_amount numeric,
                                        p_start numeric, p_end numeric, p_tax_rates jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_array(jsonb_build_object(
    'kind', p_kind, 'item', p_item, 'price', (p_price).stripe_price_id, 'metric', (p_price).metric,
    'quantity', p_quantity, 'amount', p_amount, 'proration', p_kind = 'proration', 'period_start', p_start,
    'period_end', p_end, 'discountable', p_kind <> 'proration', 'discounts', '[]'::jsonb, 'tax_rates', p_tax_rates));

COMMENT ON FUNCTION preview_line IS 'One line of an invoice; part of preview_lines.';
