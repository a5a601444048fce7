-- May a metric's usage in a period be claimed, by what is known since a restore? By the catalog and the items of today:
-- where these change, that is another place. A period whose invoice was final in the backup got nothing since.
CREATE OR REPLACE FUNCTION is_proven(p_tenant text, p_metric text, p_customer text, p_start timestamptz, p_end timestamptz)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT FROM ledger_restore r
          JOIN metrics m ON m.metric = p_metric AND m.transport <> 'none'
          LEFT JOIN billing_period(p_tenant, p_start) b ON true
          LEFT JOIN subscription_items i ON m.transport = 'usage_records' AND i.metric = m.metric
                                        AND i.stripe_subscription_id = b.stripe_subscription_id
         WHERE p_start < r.restored_at AND (m.transport <> 'usage_records' OR i.stripe_subscription_item_id IS NOT NULL)
           AND NOT is_place_proven(p_customer, coalesce(i.stripe_subscription_item_id, m.stripe_event_name), p_start, p_end)
           AND NOT EXISTS (SELECT FROM invoices v
                            WHERE v.tenant = p_tenant AND v.stripe_subscription_id = b.stripe_subscription_id
                              AND v.finalized_at < r.final_before AND v.status <> 'void'
                              AND v.period_start < v.period_end AND minute_of(v.period_end) = p_end))
$$;

COMMENT ON FUNCTION is_proven IS
    'Whether a metric''s usage in a period may be claimed, by what is known since a restore.';
REVOKE ALL ON FUNCTION is_proven FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_proven TO meterline_sink, meterline_api, meterline_ctl;
