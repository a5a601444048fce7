-- Usage of a period that began before is claimed only where it was compared with Stripe since; NULL: any.
CREATE OR REPLACE FUNCTION proof_needed_before() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(restored_at) FROM ledger_restores WHERE held_from <= now()
$$;

COMMENT ON FUNCTION proof_needed_before IS
    'Usage of periods that began before is claimed only where it was compared with Stripe; NULL: all is claimed.';
REVOKE ALL ON FUNCTION proof_needed_before FROM PUBLIC;
GRANT EXECUTE ON FUNCTION proof_needed_before TO meterline_sink, meterline_api, meterline_ctl;
