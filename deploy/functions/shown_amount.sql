-- An amount as the API gives it: {amount_minor, currency}. NULL where it is not known.
CREATE OR REPLACE FUNCTION shown_amount(p_amount jsonb, p_currency text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_amount IS NOT NULL AND p_amount <> 'null'
            THEN jsonb_build_object('amount_minor', trim_scale((p_amount #>> '{}')::numeric), 'currency', p_currency) END;

COMMENT ON FUNCTION shown_amount IS 'An amount as the API gives it.';
