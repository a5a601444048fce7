-- How many of Stripe's minor units make one of a currency. https://docs.stripe.com/currencies#minor-units
CREATE OR REPLACE FUNCTION minor_units(p_currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf',
                                'xof', 'xpf') THEN 1
            WHEN p_currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd') THEN 1000
            ELSE 100 END;

COMMENT ON FUNCTION minor_units IS 'How many minor units make one of a currency.';
