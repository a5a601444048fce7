-- The totals of current periods that change because of what fold_usage added at these times. Usually nothing changes:
-- the usage belongs to the newest period, which is still open and follows the previous one without a gap. If nothing
-- was counted for a while, the periods in between must be opened first.
CREATE OR REPLACE FUNCTION carry_added(p_tenants text[], p_metrics text[], p_since timestamptz[], p_version bigint)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SET jit = off SET enable_nestloop = on AS $$
#variable_conflict use_column
DECLARE
    tenants text[];
    metrics text[];
    since timestamptz[];
BEGIN
    SELECT array_agg(k.tenant), array_agg(k.metric), array_agg(coalesce(o.before_end, k.since)) INTO tenants, metrics, since
      FROM unnest(p_tenants, p_metrics, p_since) k (tenant, metric, since)
     CROSS JOIN LATERAL (
           SELECT o.period_start, o.period_end FROM usage_totals o
            WHERE o.tenant = k.tenant AND o.metric = k.metric ORDER BY o.period_start DESC LIMIT 1) n
     CROSS JOIN LATERAL (
           SELECT x.period_start, lead(x.period_end) OVER w AS before_end, lead(x.quantity) OVER w AS before_quantity
             FROM (SELECT t.period_start, t.period_end, t.quantity FROM usage_totals t
                    WHERE t.tenant = k.tenant AND t.metric = k.metric AND t.period_start <= k.since
                    ORDER BY t.period_start DESC LIMIT 2) x
           WINDOW w AS (ORDER BY x.period_start DESC)
            ORDER BY x.period_start DESC LIMIT 1) o
     WHERE k.since < n.period_start OR n.period_end <= now()
        OR (o.before_end < o.period_start AND o.before_quantity <> 0);
    IF tenants IS NOT NULL THEN
        RETURN QUERY
        SELECT c.tenant, c.metric, c.quantity, c.version, c.period_end
          FROM carry_totals(tenants, metrics, since, p_version) c
         WHERE c.period_start <= now() AND now() < c.period_end;
    END IF;
END $$;

COMMENT ON FUNCTION carry_added IS
    'The totals of current periods that follow from what fold_usage added to metrics that carry their last value over.';
REVOKE ALL ON FUNCTION carry_added FROM PUBLIC;
