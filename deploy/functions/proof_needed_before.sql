-- Usage of periods that began before this time is claimed only after a comparison with Stripe. NULL: no comparison is
-- needed.
CREATE OR REPLACE FUNCTION proof_needed_before() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(restored_at) FROM ledger_restores WHERE held_from <= now()
$$;

COMMENT ON FUNCTION proof_needed_before IS
    'Usage of periods that began before this time is claimed only after a comparison with Stripe; NULL: all is claimed.';
REVOKE ALL ON FUNCTION proof_needed_before FROM PUBLIC;
GRANT EXECUTE ON FUNCTION proof_needed_before TO meterline_sink, meterline_api, meterline_ctl;
