-- When the last nightly comparison was due. minute: of the day, UTC.
CREATE OR REPLACE FUNCTION reconcile_due(minute bigint) RETURNS timestamptz
LANGUAGE sql STABLE STRICT AS $$
    SELECT CASE WHEN d.at <= now() THEN d.at ELSE d.at - interval '1 day' END
      FROM (SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') + minute * interval '1 minute')
                   AT TIME ZONE 'UTC' AS at) d
$$;

COMMENT ON FUNCTION reconcile_due IS 'When the last nightly comparison with Stripe was due.';
