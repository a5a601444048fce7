-- What a quantity costs at a price, in minor units, exactly and before any rounding. NULL: its tiers are not known.
-- https://docs.stripe.com/api/prices/object
CREATE OR REPLACE FUNCTION price_amount(p_price stripe_prices, p_quantity numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    quantity numeric := p_quantity;
    below numeric := 0;   -- where the tier begins
    amount numeric := 0;
    tier record;
BEGIN
    IF p_price.divide_by IS NOT NULL THEN
        quantity := div(p_quantity, p_price.divide_by);
        IF p_price.divide_round = 'up' AND quantity * p_price.divide_by < p_quantity THEN
            quantity := quantity + 1;
        END IF;
    END IF;
    IF p_price.billing_scheme IS DISTINCT FROM 'tiered' THEN
        RETURN p_price.unit_amount * quantity;
    END IF;
    FOR tier IN
        SELECT NULLIF(t ->> 'up_to', 'inf')::numeric AS up_to,
               coalesce(t ->> 'unit_amount_decimal', t ->> 'unit_amount', '0')::numeric AS unit_amount,
               coalesce(t ->> 'flat_amount_decimal', t ->> 'flat_amount', '0')::numeric AS flat_amount
          FROM jsonb_array_elements(p_price.tiers) t
         ORDER BY 1 NULLS LAST
    LOOP
        IF p_price.tiers_mode = 'volume' THEN   -- all of it at the price of the tier that it ends in
            IF tier.up_to IS NULL OR quantity <= tier.up_to THEN
                RETURN tier.flat_amount + tier.unit_amount * quantity;
            END IF;
        ELSE   -- each unit at the price of its own tier; the first tier's flat amount is due for nothing, too
            amount := amount + tier.flat_amount + tier.unit_amount * (least(quantity, tier.up_to) - below);
            IF tier.up_to IS NULL OR quantity <= tier.up_to THEN
                RETURN amount;
            END IF;
            below := tier.up_to;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION price_amount IS 'What a quantity costs at a price, in minor units, exactly.';
