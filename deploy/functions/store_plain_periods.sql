-- Stores what the subscriptions of tenants say of their periods, of all tenants at once where nothing but periods follows:
-- of those with a single subscription, and no usage yet. Returns the others, for refresh_billing_periods, whose result
-- and locks are the same.
CREATE OR REPLACE FUNCTION store_plain_periods(p_tenants text[]) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    plain text[];   -- tenants …
    ids text[];     -- … and the subscription of each
    tenants text[]; -- of each period
    lows timestamptz[];
    highs timestamptz[];
    subscriptions text[];
    v bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    PERFORM pg_advisory_xact_lock(hashtext('meterline periods'));
    SELECT coalesce(array_agg(x.tenant ORDER BY x.tenant), '{}'), array_agg(x.id ORDER BY x.tenant) INTO plain, ids
      FROM (SELECT u.tenant, s.id
              FROM unnest(p_tenants) AS u (tenant)
             CROSS JOIN LATERAL (SELECT min(y.stripe_subscription_id) AS id, count(*) AS count,
                                        bool_or(y.status IN ('incomplete', 'incomplete_expired')) AS is_incomplete
                                   FROM subscriptions y WHERE y.tenant = u.tenant) s
             WHERE s.count = 1 AND NOT s.is_incomplete
               AND EXISTS (SELECT FROM stripe_observations o WHERE o.object_id = s.id)
               AND NOT EXISTS (SELECT FROM billing_periods b
                                WHERE b.tenant = u.tenant AND b.stripe_subscription_id <> s.id)
               AND NOT EXISTS (SELECT FROM usage_totals t WHERE t.tenant = u.tenant)
               AND NOT EXISTS (SELECT FROM usage_claims c WHERE c.tenant = u.tenant)
               AND NOT EXISTS (SELECT FROM usage_submissions c WHERE c.tenant = u.tenant)) x;
    IF plain = '{}' THEN
        RETURN p_tenants;
    END IF;

    SELECT array_agg(n.tenant), array_agg(n.id), array_agg(t.period_start), array_agg(t.period_end)
      INTO tenants, subscriptions, lows, highs
      FROM unnest(plain, ids) AS n (tenant, id) CROSS JOIN LATERAL told_periods(n.id) t;
    -- Periods before the first one that is told stay.
    UPDATE billing_periods b SET period_end = f.low
      FROM (SELECT n.tenant, min(n.low) AS low FROM unnest(tenants, lows) AS n (tenant, low) GROUP BY n.tenant) f
     WHERE b.tenant = f.tenant AND b.period_start < f.low AND b.period_end > f.low;
    DELETE FROM billing_periods b
     USING (SELECT n.tenant, min(n.low) AS low FROM unnest(tenants, lows) AS n (tenant, low) GROUP BY n.tenant) f
     WHERE b.tenant = f.tenant AND b.period_start >= f.low;
    INSERT INTO billing_periods (tenant, period_start, period_end, stripe_subscription_id)
    SELECT n.tenant, n.low, n.high, n.id FROM unnest(tenants, lows, highs, subscriptions) AS n (tenant, low, high, id);

    UPDATE ledger_state SET value = value + 1 WHERE name = 'periods_version' RETURNING value INTO v;
    INSERT INTO billing_period_changes (tenant, version) SELECT u, v FROM unnest(plain) u
        ON CONFLICT (tenant) DO UPDATE SET version = excluded.version;
    RETURN ARRAY(SELECT u FROM unnest(p_tenants) u WHERE u <> ALL (plain) ORDER BY u);
END $$;

COMMENT ON FUNCTION store_plain_periods IS 'Stores the periods of tenants of whom nothing else follows, and returns the others.';
REVOKE ALL ON FUNCTION store_plain_periods FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store_plain_periods TO meterline_webhookd, meterline_ctl;
