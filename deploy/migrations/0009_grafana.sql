-- Who draws dashboards: reads the columns that panels show (deploy/grafana), of all tenants, and nothing else. No payloads,
-- no addresses of customers, no bodies of submissions, no raw events.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'meterline_grafana') THEN
        -- As in 0006_access.sql: another database of this server may be migrated at the same time.
        BEGIN
            CREATE ROLE meterline_grafana NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
END $$;

GRANT USAGE ON SCHEMA public TO meterline_grafana;
GRANT SELECT (tenant, metric, period_start, period_end, quantity, last_ms, window_start, window_end, window_quantity)
    ON usage_totals TO meterline_grafana;
GRANT SELECT (tenant, metric, minute_at, events, quantity_sum) ON usage_aggregates TO meterline_grafana;
GRANT SELECT (tenant, metric, limit_quantity, cap, limit_window, grace_until, refreshed_at) ON usage_quotas TO meterline_grafana;
GRANT SELECT (metric, aggregation, retired_at) ON metrics TO meterline_grafana;
GRANT SELECT (tenant, stream, reason, rejected_at, replayed_at) ON rejected_events TO meterline_grafana;
GRANT SELECT (tenant, plan, status, current_period_start, current_period_end, ended_at) ON subscriptions TO meterline_grafana;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['usage_totals', 'usage_aggregates', 'usage_quotas', 'rejected_events', 'subscriptions'] LOOP
        EXECUTE format('CREATE POLICY dashboards ON %I FOR SELECT TO meterline_grafana USING (true)', t);
    END LOOP;
END $$;
