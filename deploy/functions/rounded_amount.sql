-- An exact amount as one that Stripe can charge, in minor units: rounded once, half away from zero.
CREATE OR REPLACE FUNCTION rounded_amount(p_numerator numeric, p_denominator numeric, p_currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN fraction_round(ROW(p_numerator, p_denominator * amount_step(p_currency))::fraction) * amount_step(p_currency);

COMMENT ON FUNCTION rounded_amount IS 'An exact amount as one that can be charged: half away from zero.';
