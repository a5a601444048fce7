-- One role a stage, with just the grants its stage needs; tenants see their own rows. Who may call a function stands in
-- its own file in deploy/functions.

DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['aggregator', 'sink', 'webhookd', 'notifier', 'api', 'ctl', 'tenant'] LOOP
        r := 'meterline_' || r;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            -- Two databases of one server may be migrated at once: the role is then there already.
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
    -- Who migrates may act as every stage. From PostgreSQL 16 on, who makes a role may grant it but
    -- not yet take it, and who did not make it may do neither.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        FOREACH r IN ARRAY ARRAY['aggregator', 'sink', 'webhookd', 'notifier', 'api', 'ctl'] LOOP
            r := 'meterline_' || r;
            BEGIN
                EXECUTE format('GRANT %I TO %I', r, current_user);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE insufficient_privilege USING MESSAGE = format(
                    'the role %I is there, made by another login: as a superuser say GRANT '
                    'meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier, '
                    'meterline_api, meterline_ctl TO %I WITH ADMIN OPTION, then migrate again', r, current_user);
            END;
        END LOOP;
    END IF;
END $$;

-- Declared for the view below; what they do is in deploy/functions.
CREATE FUNCTION tenant_slice(tenant text) RETURNS smallint
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE FUNCTION entry_half(bits bigint) RETURNS text
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;

-- Raw events as plain SQL. Rows of usage_batches hold many tenants, so the view runs with its owner's
-- rights and filters: stages that may see all do, anyone else sees the tenant of meterline.tenant.
CREATE VIEW usage_events WITH (security_barrier = true) AS
SELECT e.stream, e.epoch, e.batch, entry_half(e.ms) || '-' || entry_half(e.seq) AS stream_id, e.tenant, e.metric,
       coalesce(e.id_uuid::text, e.id_text, e.stream || '/' || entry_half(e.ms) || '-' || entry_half(e.seq)) AS event_id,
       (e.id_uuid IS NOT NULL OR e.id_text IS NOT NULL) AND coalesce(e.retracts, 0) < 2 AS id_given,
       e.quantity, to_timestamp(0) + e.occurred_ms * interval '1 ms' AS occurred_at,
       coalesce(e.fields, '{}')::jsonb AS dimensions, coalesce(e.retracts, 0) > 0 AS retraction, e.committed_at
  FROM (SELECT b.stream, b.epoch, b.batch, b.committed_at, unnest(b.entry_ms) AS ms,
               unnest(b.entry_seq) AS seq, unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric,
               unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text,
               unnest(b.quantities) AS quantity, unnest(b.occurred_ms) AS occurred_ms,
               unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
          FROM usage_batches b
         WHERE (SELECT pg_has_role(current_user, 'meterline_ctl', 'USAGE')
                    OR pg_has_role(current_user, 'meterline_aggregator', 'USAGE'))
            OR b.slice = (SELECT tenant_slice(current_setting('meterline.tenant', true)))) e
 WHERE (SELECT pg_has_role(current_user, 'meterline_ctl', 'USAGE')
            OR pg_has_role(current_user, 'meterline_aggregator', 'USAGE'))
    OR e.tenant = (SELECT current_setting('meterline.tenant', true));

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO meterline_aggregator, meterline_sink, meterline_webhookd,
    meterline_notifier, meterline_api, meterline_ctl, meterline_tenant;

-- Every stage checks the schema and reads the catalog.
GRANT SELECT ON schema_migrations, ledger_state, metrics, plans, plan_limits, tenant_limits, subscriptions, billing_periods
    TO meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier, meterline_api;
GRANT SELECT ON ledger_identity, metric_versions, plan_limit_history
    TO meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier;

GRANT SELECT, INSERT, UPDATE, DELETE ON stage_instances
    TO meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier, meterline_api;
GRANT SELECT ON stage_instance_states
    TO meterline_aggregator, meterline_sink, meterline_webhookd, meterline_notifier, meterline_api;

GRANT SELECT, INSERT, UPDATE ON stream_positions, usage_aggregates, usage_totals TO meterline_aggregator;
GRANT SELECT, INSERT ON stream_epochs, stream_batches, usage_batches, usage_repeats, rejected_events, usage_pending,
    usage_recounts
    TO meterline_aggregator;
GRANT SELECT, INSERT, UPDATE, DELETE ON aggregator_members TO meterline_aggregator;
GRANT SELECT ON billing_period_changes, usage_batches_dropped, rejected_events_dropped, usage_quotas TO meterline_aggregator;
GRANT SELECT, UPDATE, DELETE ON usage_window_changes TO meterline_aggregator;
GRANT SELECT, INSERT, UPDATE ON usage_window_changes TO meterline_webhookd;
GRANT SELECT, UPDATE (replayed_at) ON rejected_events TO meterline_aggregator;   -- those of another shard
GRANT UPDATE ON ledger_state TO meterline_aggregator;   -- sink_hold
GRANT USAGE, UPDATE ON SEQUENCE usage_version, usage_batch TO meterline_aggregator;

GRANT SELECT ON usage_totals, billing_customers, subscription_items, invoices, usage_unbilled, stream_positions,
    stream_epochs TO meterline_sink;
GRANT UPDATE (life, picks, suspicion, redis_run, alive_at) ON ledger_identity TO meterline_sink;
GRANT SELECT, INSERT, UPDATE ON usage_submissions, usage_claims TO meterline_sink;
GRANT SELECT ON webhook_events, billing_period_changes TO meterline_sink;
GRANT SELECT, INSERT, UPDATE, DELETE ON meter_holds TO meterline_sink;
GRANT SELECT ON restore_checks, restore_unproven TO meterline_sink;
GRANT SELECT ON ledger_restores TO meterline_sink, meterline_ctl;
GRANT SELECT, INSERT, UPDATE ON restore_proofs TO meterline_sink, meterline_ctl;
GRANT SELECT, UPDATE (taken_at), DELETE ON sink_requests TO meterline_sink;
GRANT SELECT (identifier, tenant, event_name, first_sent_at, last_sent_at) ON usage_submissions TO meterline_webhookd;

GRANT SELECT, INSERT, UPDATE, DELETE ON billing_customers, subscriptions, subscription_items, usage_quotas,
    webhook_events, stripe_customers, stripe_observations, subscription_states TO meterline_webhookd;
GRANT SELECT, INSERT, UPDATE ON invoices, invoice_items, payments, checkout_sessions, stripe_prices, stripe_schedules
    TO meterline_webhookd;
GRANT SELECT, INSERT ON billing_history TO meterline_webhookd;
GRANT SELECT ON usage_totals TO meterline_webhookd;
GRANT SELECT, INSERT, UPDATE, DELETE ON limit_changes TO meterline_webhookd;
GRANT USAGE ON SEQUENCE limit_change TO meterline_webhookd;
GRANT SELECT, UPDATE ON stripe_catch_up TO meterline_webhookd;
GRANT SELECT, INSERT, UPDATE ON customer_mrr, stripe_discounts TO meterline_webhookd;
GRANT SELECT ON doubled_subscriptions TO meterline_webhookd, meterline_notifier;

GRANT SELECT ON usage_totals, usage_quotas, alert_settings, billing_customers TO meterline_notifier;
GRANT SELECT, INSERT ON usage_alerts, milestones TO meterline_notifier;
GRANT SELECT ON customer_mrr TO meterline_notifier;
GRANT UPDATE (alert_at) ON usage_totals TO meterline_notifier;
GRANT SELECT, DELETE, UPDATE ON alert_checks TO meterline_notifier;   -- UPDATE: to lock
GRANT SELECT ON alert_thresholds, usage_not_invoiced TO meterline_notifier;
GRANT SELECT ON usage_claims, usage_submissions, subscription_items, stripe_prices, invoices, payments TO meterline_notifier;
GRANT SELECT, INSERT ON not_invoiced_told TO meterline_notifier;
GRANT SELECT, UPDATE, DELETE ON outgoing_messages TO meterline_notifier;
GRANT SELECT, INSERT, UPDATE, DELETE ON failing_addresses TO meterline_notifier;

GRANT SELECT ON usage_aggregates, usage_totals, usage_quotas, usage_submissions, stream_positions, alert_thresholds,
    billing_customers, subscription_items, subscription_states, stripe_prices, stripe_discounts, stripe_schedules,
    stripe_customers, stripe_setup, catalog_tax, invoices, invoice_items, payments, billing_history TO meterline_api;

GRANT ALL ON ALL TABLES IN SCHEMA public TO meterline_ctl;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO meterline_ctl;

GRANT SELECT ON usage_aggregates, usage_totals, usage_events, usage_quotas, usage_alerts, subscriptions,
    subscription_items, subscription_states, billing_periods, invoices, invoice_items, payments, checkout_sessions, billing_history,
    metrics, plans, plan_limits, tenant_limits TO meterline_tenant;

-- Stages see every row (what they may touch is in the grants above); a tenant sees its own.
DO $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                AND NOT c.relispartition AND a.attname = 'tenant' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY stages ON %I TO meterline_aggregator, meterline_sink,
            meterline_webhookd, meterline_notifier, meterline_api, meterline_ctl USING (true) WITH CHECK (true)', t);
        EXECUTE format('CREATE POLICY own ON %I FOR SELECT TO meterline_tenant
            USING (tenant = current_setting(''meterline.tenant'', true))', t);
    END LOOP;
END $$;
