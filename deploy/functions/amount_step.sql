-- What Stripe charges in a currency is a multiple of so many minor units, as currency_step() of common/currency says: the
-- last of three decimals is 0, and hundredths of crowns and shillings are whole ones. docs.stripe.com/currencies
CREATE OR REPLACE FUNCTION amount_step(p_currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_currency IN ('isk', 'ugx') THEN 100 WHEN minor_units(p_currency) = 1000 THEN 10 ELSE 1 END;

COMMENT ON FUNCTION amount_step IS 'What an amount of a currency is a multiple of, in minor units.';
