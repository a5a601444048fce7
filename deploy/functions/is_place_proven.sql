-- Whether everything is known that Stripe has for a meter or subscription item in a period, since a restore. It is if
-- the period began after the restore, or if all of it up to the restore was compared with Stripe, by whatever edges. A
-- period that ended 35 days ago needs no proof, because Stripe accepts nothing for it.
CREATE OR REPLACE FUNCTION is_place_proven(p_customer text, p_place text, p_start timestamptz, p_end timestamptz,
                                           p_restored timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p_restored IS NULL OR p_start >= p_restored OR p_end <= now() - interval '35 days'
           OR coalesce((SELECT range_agg(tstzrange(p.from_at, p.until_at)) @> tstzrange(p_start, least(p_end, p_restored))
                          FROM restore_proofs p
                         WHERE p.stripe_customer_id = p_customer AND p.place = p_place AND p.proven_for >= p_restored), false)
$$;

COMMENT ON FUNCTION is_place_proven IS
    'Whether all is known that Stripe holds of a meter or subscription item in a period, since a restore.';
REVOKE ALL ON FUNCTION is_place_proven FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_place_proven TO meterline_sink, meterline_ctl;
