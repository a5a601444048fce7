-- The lines of an invoice for a quantity at a price, one a tier. Pure; part of preview_lines.
CREATE OR REPLACE FUNCTION preview_price(p_item text, p_price stripe_prices, p_quantity numeric, p_start numeric, p_end numeric,
                                         p_discounts jsonb, p_tax_rates jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'kind', CASE WHEN (p_price).usage_type = 'metered' THEN 'usage' ELSE 'fee' END, 'item', p_item,
               'price', (p_price).stripe_price_id, 'metric', (p_price).metric, 'quantity', trim_scale(l.quantity),
               'tier', l.tier, 'unit_amount', trim_scale(l.unit_amount), 'flat_amount', trim_scale(NULLIF(l.flat_amount, 0)),
               'amount', l.amount, 'proration', false, 'period_start', p_start, 'period_end', p_end, 'discountable', true,
               'discounts', p_discounts, 'tax_rates', p_tax_rates) ORDER BY l.tier), '[]')
      FROM price_lines(p_price, p_quantity) l
$$;

COMMENT ON FUNCTION preview_price IS 'The lines of an invoice for a quantity at a price; part of preview_lines.';
