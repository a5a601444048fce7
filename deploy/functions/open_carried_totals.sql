-- Opens periods that have begun, for metrics that carry their last value over: at most p_most pairs of tenant and
-- metric. Returns the tenants. If there is nothing to open, nobody is held up. Otherwise nobody adds to totals or
-- moves billing periods until this transaction ends. It does not wait long for that lock, because it is called again.
CREATE OR REPLACE FUNCTION open_carried_totals(p_most integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET jit = off SET lock_timeout = '1s' AS $$
DECLARE
    tenants text[];
    metrics text[];
    since timestamptz[];
BEGIN
    SELECT array_agg(x.tenant), array_agg(x.metric), array_agg(x.period_end) INTO tenants, metrics, since
      FROM (SELECT n.tenant, n.metric, n.period_end
              FROM (SELECT DISTINCT ON (t.tenant, t.metric) t.tenant, t.metric, t.period_end, t.quantity, m.retired_at
                      FROM usage_totals t JOIN metrics m ON m.metric = t.metric AND m.carry
                     ORDER BY t.tenant, t.metric, t.period_start DESC) n
             WHERE n.period_end <= least(now(), n.retired_at) AND n.quantity <> 0
             ORDER BY n.period_end DESC LIMIT p_most) x;
    IF tenants IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline periods'));
    RETURN QUERY
    SELECT DISTINCT c.tenant FROM carry_totals(tenants, metrics, since, nextval('usage_version')) c;
END $$;

COMMENT ON FUNCTION open_carried_totals IS
    'Opens periods that have begun for metrics that carry their last value over, and returns the tenants.';
REVOKE ALL ON FUNCTION open_carried_totals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_carried_totals TO meterline_aggregator;
