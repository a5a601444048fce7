-- The catalog: what is metered, and what plans allow and charge. Written by `meterctl catalog apply`.

-- Small numbers that stages share. sink_hold is not 0 while PostgreSQL was found behind the stream; hold_server_ms: when
-- the server in which that was found first had been started, Unix ms: what is older than that was in the backup.
-- retention_ms: when an aggregator last began to apply retention, Unix ms. claim_era: restores that were accepted, which
-- is part of the identifiers of claims made since, so that they never meet those of the life that was lost.
-- blocks_paused: 1 if the catalog says that a subscription whose collection is paused is blocked. tax_by_invoice: 1 if it
-- says that Stripe rounds a tax once an invoice, not each line.
CREATE TABLE ledger_state (
    name  text COLLATE "C" PRIMARY KEY,
    value bigint NOT NULL
);
INSERT INTO ledger_state (name, value)
VALUES ('catalog_version', 0), ('periods_version', 0), ('stream_shards', 1), ('resharded_ms', 0), ('sink_hold', 0),
       ('hold_server_ms', 0), ('retention_ms', 0), ('claim_era', 0), ('blocks_paused', 0), ('tax_by_invoice', 0);

CREATE TABLE metrics (
    metric            text COLLATE "C" PRIMARY KEY CHECK (metric ~ '^[a-z0-9_]{1,64}$'),
    display_name      text NOT NULL,
    unit              text NOT NULL,
    aggregation       text NOT NULL CHECK (aggregation IN ('sum', 'count', 'max', 'last', 'unique')),
    carry             boolean NOT NULL DEFAULT false,      -- a new period opens with the last value
    dimensions        text[] COLLATE "C" NOT NULL DEFAULT '{}', -- fields that minute rows are split by
    from_metric       text COLLATE "C" REFERENCES metrics, -- derived from another metric, …
    where_dimensions  jsonb NOT NULL DEFAULT '{}',         -- … where these fields have these values
    stripe_event_name text COLLATE "C" UNIQUE,
    transport         text NOT NULL DEFAULT 'meter_events'
        CHECK (transport IN ('meter_events', 'meter_event_stream', 'usage_records', 'none')),
    rounding          text NOT NULL DEFAULT 'floor' CHECK (rounding = 'floor'),
    cost_per_unit     numeric(24,12),                      -- what one costs who provides it, in minor units; for figures
    cost_currency     text COLLATE "C" CHECK (cost_currency ~ '^[a-z]{3}$'),
    hours_saved       numeric(38,9),                       -- hours of work that one saves its user; for figures
    retired_at        timestamptz,                         -- no longer in the catalog: events are refused
    created_at        timestamptz NOT NULL DEFAULT now(),
    checksum          bytea,                               -- metric_checksum, when the catalog was applied
    CHECK ((cost_per_unit IS NULL) = (cost_currency IS NULL)),
    CHECK (transport = 'none' OR stripe_event_name IS NOT NULL),
    CHECK (NOT carry OR aggregation = 'last')
);

-- How events of a metric became minute rows, by version of the catalog. A batch tells the version that it was
-- counted by, so that minutes can be recomputed from the raw events whatever became of the catalog since.
CREATE TABLE metric_versions (
    metric           text COLLATE "C" NOT NULL REFERENCES metrics,
    from_version     bigint NOT NULL,          -- catalog_version
    until_version    bigint,                   -- the first one by which it no longer holds; NULL: it does
    aggregation      text NOT NULL,
    dimensions       text[] COLLATE "C" NOT NULL,
    from_metric      text COLLATE "C",
    where_dimensions jsonb NOT NULL,
    checksum         bytea NOT NULL,           -- metric_version_checksum
    PRIMARY KEY (metric, from_version)
);

CREATE TABLE plans (
    plan              text COLLATE "C" PRIMARY KEY CHECK (plan ~ '^[a-z0-9_]{1,64}$'),
    display_name      text NOT NULL,
    currency          text COLLATE "C" NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    base_amount_minor bigint NOT NULL CHECK (base_amount_minor >= 0),  -- per billing period
    billing_interval  text NOT NULL DEFAULT 'month' CHECK (billing_interval IN ('day', 'week', 'month', 'year')),
    stripe_lookup_key text COLLATE "C" UNIQUE,
    custom            boolean NOT NULL DEFAULT false,  -- sold by hand: no price of its own
    trial_days        integer NOT NULL DEFAULT 0 CHECK (trial_days BETWEEN 0 AND 730),
    yearly_amount_minor      bigint CHECK (yearly_amount_minor >= 0),       -- a year at once; NULL: not sold, or seats alone
    seat_amount_minor        bigint CHECK (seat_amount_minor >= 0),         -- for each seat and billing period; NULL: none
    yearly_seat_amount_minor bigint CHECK (yearly_seat_amount_minor >= 0),  -- for each seat and year
    retired_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE plan_limits (
    plan               text COLLATE "C" NOT NULL REFERENCES plans ON DELETE CASCADE,
    metric             text COLLATE "C" NOT NULL REFERENCES metrics,
    included           numeric(38,9),                    -- per window; NULL: unlimited
    cap                text NOT NULL CHECK (cap IN ('none', 'soft', 'hard')),
    limit_window       text COLLATE "C" NOT NULL DEFAULT 'period' CHECK (limit_window IN ('period', 'month', 'day')),
    overage_unit_price numeric(24,12),                   -- minor units per unit past included; NULL: no overage
    currency           text COLLATE "C" NOT NULL,
    PRIMARY KEY (plan, metric)
);

-- The tax that invoices carry; no row: none.
CREATE TABLE catalog_tax (
    only_one     boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    display_name text NOT NULL,
    percentage   numeric(7,4) NOT NULL CHECK (percentage BETWEEN 0 AND 100),
    inclusive    boolean NOT NULL DEFAULT false   -- the amounts of plans contain it
);

-- What `meterctl stripe setup` last made or found at Stripe for the catalog. kind and name: product (ml_standard), meter
-- (the metric), price (its lookup key), tax_rate (tax), portal (portal), webhook_endpoint (its URL).
CREATE TABLE stripe_setup (
    kind      text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    stripe_id text COLLATE "C" NOT NULL,
    plan      text COLLATE "C",       -- of a price
    metric    text COLLATE "C",       -- of a metered price; NULL: the fee
    yearly    boolean NOT NULL DEFAULT false,
    livemode  boolean NOT NULL,
    found_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, name)
);

-- Limits of plans as they were until they were changed, so that a limit that fell leaves grace: see lowered_until.
CREATE TABLE plan_limit_history (
    plan        text COLLATE "C" NOT NULL REFERENCES plans ON DELETE CASCADE,
    metric      text COLLATE "C" NOT NULL REFERENCES metrics,
    replaced_at timestamptz NOT NULL,
    included    numeric(38,9),
    cap         text NOT NULL,
    PRIMARY KEY (plan, metric, replaced_at)
);
-- Declared for the trigger below; what it does is in deploy/functions.
CREATE FUNCTION keep_plan_limit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE TRIGGER keep_plan_limit AFTER UPDATE ON plan_limits FOR EACH ROW
    WHEN ((OLD.included, OLD.cap) IS DISTINCT FROM (NEW.included, NEW.cap)) EXECUTE FUNCTION keep_plan_limit();
CREATE TRIGGER keep_plan_limit_none AFTER INSERT ON plan_limits FOR EACH ROW EXECUTE FUNCTION keep_plan_limit();

-- At how many per cent of a limit a tenant is told, unless it has thresholds of its own.
CREATE TABLE alert_thresholds (
    percent integer PRIMARY KEY CHECK (percent BETWEEN 1 AND 10000)
);
INSERT INTO alert_thresholds (percent) VALUES (80), (100), (120);

-- A tenant's own limits and prices: each column that is not NULL (or unlimited) replaces the plan's.
CREATE TABLE tenant_limits (
    -- As the stream takes it: no control characters, nor U+0080 to U+009F.
    tenant             text COLLATE "C" NOT NULL CHECK (octet_length(tenant) BETWEEN 1 AND 128
                                            AND tenant !~ '[\x01-\x1f\x7f-\x9f]'),
    metric             text COLLATE "C" NOT NULL REFERENCES metrics,
    included           numeric(38,9),
    unlimited          boolean NOT NULL DEFAULT false,
    cap                text CHECK (cap IN ('none', 'soft', 'hard')),
    limit_window       text COLLATE "C" CHECK (limit_window IN ('period', 'month', 'day')),
    until              timestamptz,                      -- no longer holds from then on; NULL: it stays
    overage_unit_price numeric(24,12),
    currency           text COLLATE "C",
    PRIMARY KEY (tenant, metric)
);
CREATE INDEX tenant_limits_window ON tenant_limits (tenant) WHERE limit_window <> 'period';
CREATE INDEX tenant_limits_until ON tenant_limits (until) WHERE until IS NOT NULL;
