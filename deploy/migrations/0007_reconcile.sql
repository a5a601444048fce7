-- Comparing with Stripe: what each customer's meters hold there, beside what was sent.

-- One comparison of many, by a sink on its own or by `meterctl reconcile`.
CREATE TABLE reconcile_runs (
    run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason      text NOT NULL,               -- nightly, asked (in sink_requests), operator, restore (a person's
                                             -- `restore accept`), unproven (by a sink, an hour after a restore)
    tenant      text COLLATE "C",            -- NULL: all
    due_at      timestamptz UNIQUE,          -- of a nightly one: all sinks want it, one makes it
    started_at  timestamptz NOT NULL DEFAULT now(),
    beat_at     timestamptz NOT NULL DEFAULT now(), -- when it last found something; else it was cut off
    finished_at timestamptz,                 -- NULL: it runs, or was cut off
    compared    bigint NOT NULL DEFAULT 0,
    drifted     bigint NOT NULL DEFAULT 0,
    unread      bigint NOT NULL DEFAULT 0    -- Stripe did not tell
);

-- The newest comparison of each customer, metric and period. drift_units other than 0: Stripe holds so many more than
-- what was sent.
CREATE TABLE usage_drift (
    tenant             text COLLATE "C" NOT NULL,
    metric             text COLLATE "C" NOT NULL,
    period_start       timestamptz NOT NULL,
    stripe_customer_id text COLLATE "C" NOT NULL,
    event_name         text COLLATE "C" NOT NULL, -- of usage records: the subscription item
    period_end         timestamptz NOT NULL,
    sent_quantity      numeric(38,9) NOT NULL, -- by submissions that are `sent`
    open_quantity      numeric(38,9) NOT NULL, -- of those that Stripe may hold or not: sending, in_doubt, …
    stripe_quantity    numeric(38,9) NOT NULL,
    drift_units        numeric(38,9) NOT NULL,
    explanation        jsonb NOT NULL DEFAULT '[]', -- minutes that differ, with identifiers and request ids
    run_id             bigint REFERENCES reconcile_runs,
    checked_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, metric, period_start, stripe_customer_id, event_name)
);
CREATE INDEX usage_drift_found ON usage_drift (checked_at) WHERE drift_units <> 0;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['reconcile_runs', 'usage_drift'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY stages ON %I TO meterline_sink, meterline_ctl
            USING (true) WITH CHECK (true)', t);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON reconcile_runs TO meterline_sink, meterline_ctl;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_drift TO meterline_sink, meterline_ctl;
