-- A line of invoice_sums as the API gives it: amounts with their currency, quantities as texts, times as RFC 3339.
CREATE OR REPLACE FUNCTION preview_shown(p_line jsonb, p_currency text) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_strip_nulls(p_line - 'amount' - 'discount_amounts' - 'taxes' || jsonb_build_object(
    'quantity', p_line ->> 'quantity', 'unit_amount', p_line ->> 'unit_amount', 'flat_amount', p_line ->> 'flat_amount',
    'period_start', time_text(to_timestamp((p_line ->> 'period_start')::float8)),
    'period_end', time_text(to_timestamp((p_line ->> 'period_end')::float8)), 'amount', shown_amount(p_line -> 'amount', p_currency),
    'discounts', (SELECT coalesce(jsonb_agg(d - 'amount' || jsonb_build_object('amount', shown_amount(d -> 'amount', p_currency))), '[]')
                    FROM jsonb_array_elements(p_line -> 'discount_amounts') d),
    'taxes', (SELECT coalesce(jsonb_agg(t - 'amount' || jsonb_build_object('amount', shown_amount(t -> 'amount', p_currency),
                                                                          'percentage', t ->> 'percentage')), '[]')
                FROM jsonb_array_elements(p_line -> 'taxes') t)));

COMMENT ON FUNCTION preview_shown IS 'A line of a computed invoice as the API gives it.';
