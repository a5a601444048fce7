-- Puts usage that no invoice bills into the outbox, once for each metric and period. Returns how much it is by metric, of
-- the last two months: 0 where there is none.
CREATE OR REPLACE FUNCTION tell_not_invoiced() RETURNS TABLE (metric text, units bigint, tenants bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    n record;
BEGIN
    -- Two notifiers at once would tell the same.
    PERFORM pg_advisory_xact_lock(hashtextextended('meterline not invoiced', 0));
    FOR n IN
        SELECT u.* FROM usage_not_invoiced u
         WHERE u.period_end > now() - interval '62 days'
           AND NOT EXISTS (SELECT FROM not_invoiced_told t
                            WHERE (t.tenant, t.metric, t.period_start) = (u.tenant, u.metric, u.period_start))
         ORDER BY u.tenant, u.metric, u.period_start
    LOOP
        INSERT INTO not_invoiced_told (tenant, metric, period_start) VALUES (n.tenant, n.metric, n.period_start);
        PERFORM add_message('usage_not_invoiced', concat_ws(' ', n.metric, extract(epoch FROM n.period_start)), n.tenant,
                            jsonb_build_object('metric', n.metric, 'quantity', trim_scale(n.quantity)::text,
                                               'amount_minor', trim_scale(n.amount_minor)::text, 'currency', n.currency,
                                               'subscription', n.stripe_subscription_id, 'period_start', n.period_start,
                                               'period_end', n.period_end), now());
    END LOOP;
    RETURN QUERY
    SELECT m.metric, floor(coalesce(sum(u.quantity), 0))::bigint, count(DISTINCT u.tenant)
      FROM metrics m
      LEFT JOIN (SELECT x.* FROM usage_not_invoiced x WHERE x.period_end > now() - interval '62 days') u USING (metric)
     WHERE m.transport <> 'none'
     GROUP BY m.metric
     ORDER BY m.metric;
END $$;

COMMENT ON FUNCTION tell_not_invoiced IS 'Puts usage that no invoice bills into the outbox, and returns how much it is.';
