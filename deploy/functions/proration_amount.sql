-- What a price costs for the rest of a period, by the second, in whole minor units, rounded once, half away from zero.
-- Discounts are within it, because Stripe takes none off a line that is a proration: percentages, in their order. NULL:
-- the price is not known.
CREATE OR REPLACE FUNCTION proration_amount(p_price stripe_prices, p_quantity numeric, p_discounts jsonb, p_left_s numeric,
                                            p_whole_s numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    amount numeric := price_amount(p_price, p_quantity);
    off jsonb;
BEGIN
    FOR off IN SELECT d FROM jsonb_array_elements(p_discounts) d LOOP
        amount := amount * (100 - coalesce((off ->> 'percent_off')::numeric, 0)) * 0.01;
    END LOOP;
    RETURN rounded_amount(amount * p_left_s, p_whole_s, p_price.currency);
END $$;

COMMENT ON FUNCTION proration_amount IS 'What a price costs for the rest of a period, by the second.';
