-- What a quantity costs at a price, as the lines of an invoice: one, or for graduated tiers one a tier that the quantity
-- reaches. Each line is rounded for itself to a whole minor unit, half away from zero, and invoices add those up
-- (https://docs.stripe.com/billing/subscriptions/decimal-amounts). Less than nothing is billed as nothing. amount is
-- NULL where the price or its tiers are not known.
CREATE OR REPLACE FUNCTION price_lines(p_price stripe_prices, p_quantity numeric)
RETURNS TABLE (tier integer, quantity numeric, unit_amount numeric, flat_amount numeric, amount numeric)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
#variable_conflict use_column
DECLARE
    whole numeric := greatest(p_quantity, 0);
    below numeric := 0;   -- where the tier begins
    each record;
BEGIN
    IF p_price.billing_scheme IS DISTINCT FROM 'tiered' OR price_amount(p_price, whole) IS NULL THEN
        RETURN QUERY SELECT NULL::integer, whole, p_price.unit_amount, NULL::numeric,
                            rounded_amount(price_amount(p_price, whole), 1, p_price.currency);
        RETURN;
    END IF;
    IF p_price.divide_by IS NOT NULL THEN   -- Stripe takes no tiers with it
        RETURN QUERY SELECT NULL::integer, whole, NULL::numeric, NULL::numeric,
                            rounded_amount(price_amount(p_price, whole), 1, p_price.currency);
        RETURN;
    END IF;
    FOR each IN
        SELECT x.*, (row_number() OVER (ORDER BY x.up_to NULLS LAST))::integer AS place
          FROM (SELECT NULLIF(t ->> 'up_to', 'inf')::numeric AS up_to,
                       coalesce(t ->> 'unit_amount_decimal', t ->> 'unit_amount', '0')::numeric AS unit,
                       coalesce(t ->> 'flat_amount_decimal', t ->> 'flat_amount', '0')::numeric AS flat
                  FROM jsonb_array_elements(p_price.tiers) t) x
         ORDER BY x.up_to NULLS LAST
    LOOP
        IF p_price.tiers_mode = 'volume' THEN
            CONTINUE WHEN whole > each.up_to;
            RETURN QUERY SELECT each.place, whole, each.unit, each.flat, rounded_amount(each.flat + each.unit * whole, 1, p_price.currency);
            RETURN;
        END IF;
        RETURN QUERY SELECT each.place, least(whole, each.up_to) - below, each.unit, each.flat,
                            rounded_amount(each.flat + each.unit * (least(whole, each.up_to) - below), 1, p_price.currency);
        EXIT WHEN each.up_to IS NULL OR whole <= each.up_to;
        below := each.up_to;
    END LOOP;
END $$;

COMMENT ON FUNCTION price_lines IS 'What a quantity costs at a price, as lines of an invoice, each rounded for itself.';
