-- Whether a metric's usage in a period may be claimed, by what is known since a restore. Meters and items are those of
-- today: if they change, that is another place. If the invoice of the period was final in the backup, nothing was sent
-- for it since. This is called for many rows, most of them metered, so what only the others need is looked up last.
CREATE OR REPLACE FUNCTION is_proven(p_tenant text, p_metric text, p_customer text, p_start timestamptz, p_end timestamptz,
                                     p_restored timestamptz)
RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    m metrics;
    subscription text;
    is_known boolean;
BEGIN
    IF p_restored IS NULL OR p_start >= p_restored OR p_end <= now() - interval '35 days' THEN
        RETURN true;
    END IF;
    SELECT * INTO m FROM metrics WHERE metric = p_metric;
    IF m.transport = 'none' THEN
        RETURN true;
    END IF;
    IF m.transport <> 'usage_records' THEN
        is_known := coalesce(
            (SELECT range_agg(tstzrange(p.from_at, p.until_at)) @> tstzrange(p_start, least(p_end, p_restored))
               FROM restore_proofs p
              WHERE p.stripe_customer_id = p_customer AND p.place = m.stripe_event_name AND p.proven_for >= p_restored), false);
        IF is_known OR (SELECT r.final_before FROM ledger_restores r WHERE r.restored_at = p_restored) IS NULL THEN
            RETURN is_known;
        END IF;
    END IF;
    subscription := (SELECT b.stripe_subscription_id FROM billing_period(p_tenant, p_start) b);
    IF m.transport = 'usage_records' AND NOT EXISTS (
           SELECT FROM subscription_items i
            WHERE i.metric = p_metric AND i.stripe_subscription_id = subscription
              AND NOT is_place_proven(p_customer, i.stripe_subscription_item_id, p_start, p_end, p_restored)) THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM ledger_restores r
                     JOIN invoices v ON v.tenant = p_tenant AND v.stripe_subscription_id = subscription
                                    AND v.finalized_at < r.final_before AND v.status <> 'void'
                                    AND v.period_start < v.period_end AND minute_of(v.period_end) = p_end
                    WHERE r.restored_at = p_restored);
END $$;

COMMENT ON FUNCTION is_proven IS
    'Whether a metric''s usage in a period may be claimed, by what is known since a restore.';
REVOKE ALL ON FUNCTION is_proven FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_proven TO meterline_sink, meterline_api, meterline_ctl;
