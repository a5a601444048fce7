-- An amount in minor units as people write it: with the digits of its currency.
CREATE OR REPLACE FUNCTION major_units(p_minor numeric, p_currency text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(p_minor / minor_units(p_currency), length(minor_units(p_currency)::text) - 1)::text;

COMMENT ON FUNCTION major_units IS 'An amount in minor units as people write it.';
