-- Comparing with Stripe: what each customer's meters hold there, beside what was sent.

-- One comparison of many, by a sink on its own or by `meterctl reconcile`.
CREATE TABLE reconcile_runs (
    run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason      text NOT NULL,               -- nightly, asked (in sink_requests), operator, restore
    tenant      text,                        -- NULL: all
    due_at      timestamptz UNIQUE,          -- of a nightly one: all sinks want it, one makes it
    started_at  timestamptz NOT NULL DEFAULT now(),
    beat_at     timestamptz NOT NULL DEFAULT now(), -- when it last found something; else it was cut off
    finished_at timestamptz,                 -- NULL: it runs, or was cut off
    compared    bigint NOT NULL DEFAULT 0,
    drifted     bigint NOT NULL DEFAULT 0,
    unread      bigint NOT NULL DEFAULT 0    -- Stripe did not tell
);

-- When the last nightly run was due. minute: of the day, UTC.
CREATE FUNCTION reconcile_due(minute bigint) RETURNS timestamptz
LANGUAGE sql STABLE STRICT AS $$
    SELECT CASE WHEN d.at <= now() THEN d.at ELSE d.at - interval '1 day' END
      FROM (SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') + minute * interval '1 minute')
                   AT TIME ZONE 'UTC' AS at) d
$$;

-- The newest comparison of each customer, metric and period. drift_units other than 0: Stripe holds so many more than
-- what was sent.
CREATE TABLE usage_drift (
    tenant             text NOT NULL,
    metric             text NOT NULL,
    period_start       timestamptz NOT NULL,
    stripe_customer_id text NOT NULL,
    event_name         text NOT NULL,        -- of usage records: the subscription item
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

-- Restores that were accepted. It is part of the identifiers of claims made since, so that they never meet those of
-- the life that was lost.
INSERT INTO ledger_state (name, value) VALUES ('claim_era', 0);

-- Meter events that Stripe accepted and refused later: they wait for a person, and their tenants are compared. Returns
-- how many submissions it were.
CREATE FUNCTION note_meter_errors(p_identifiers text[], p_errors text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH told AS (
        UPDATE usage_submissions s
           SET state = CASE s.state WHEN 'sending' THEN 'sending' ELSE 'failed' END, refused_later = e.error,
               last_error = e.error, sent_at = NULL
          FROM unnest(p_identifiers, p_errors) AS e (identifier, error)
         WHERE s.identifier = e.identifier AND s.state IN ('pending', 'sending', 'sent', 'in_doubt')
           AND s.first_sent_at IS NOT NULL
        RETURNING s.tenant
    ), asked AS (
        SELECT request_sink(tenant, 'reconcile', '11 minutes') FROM (SELECT DISTINCT tenant FROM told) t
    )
    SELECT (SELECT count(*) FROM told) + 0 * (SELECT count(*) FROM asked)
$$;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['reconcile_runs', 'usage_drift'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY stages ON %I TO meterline_sink, meterline_api, meterline_ctl
            USING (true) WITH CHECK (true)', t);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION note_meter_errors(text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_meter_errors(text[], text[]) TO meterline_webhookd;
GRANT SELECT, INSERT, UPDATE ON reconcile_runs TO meterline_sink, meterline_ctl;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_drift TO meterline_sink, meterline_ctl;
GRANT SELECT ON reconcile_runs, usage_drift TO meterline_api;
