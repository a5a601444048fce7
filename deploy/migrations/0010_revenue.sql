-- What revenue figures need beside the states of subscriptions: exchange rates; product events, by which a tenant's first
-- steps are known; and the tables that `meterctl rollup` fills.

-- What one of a currency is worth, from valid_from until the next row. A person or a job fills it.
CREATE TABLE exchange_rates (
    currency           text COLLATE "C" NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    reporting_currency text COLLATE "C" NOT NULL CHECK (reporting_currency ~ '^[a-z]{3}$'),
    valid_from         timestamptz NOT NULL,
    rate               numeric NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (currency, reporting_currency, valid_from),
    CHECK (currency <> reporting_currency)
);

CREATE INDEX payments_paid ON payments (paid_at);

-- When a tenant first took a step in the product, such as its first report.
CREATE TABLE product_events (
    tenant      text COLLATE "C" NOT NULL,
    step        text COLLATE "C" NOT NULL CHECK (step ~ '^[a-z0-9_]{1,64}$'),
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, step)
);

-- Revenue at the end of each day and month, and what moved it since the one before. Amounts are minor units of the row's
-- currency. What it is made of is kept, so it can be made anew at any time.
CREATE TABLE rollup_revenue (
    step                   text COLLATE "C" NOT NULL CHECK (step IN ('day', 'month')),
    at                     timestamptz NOT NULL,
    split_by               text COLLATE "C" NOT NULL CHECK (split_by IN ('', 'plan', 'currency')),
    part                   text COLLATE "C" NOT NULL,
    currency               text COLLATE "C" NOT NULL,
    mrr_minor              numeric NOT NULL,
    arr_minor              numeric NOT NULL,
    customers              bigint NOT NULL,
    arpu_minor             numeric,
    unpriced_subscriptions bigint NOT NULL,
    new_minor              numeric NOT NULL,
    reactivation_minor     numeric NOT NULL,
    expansion_minor        numeric NOT NULL,
    contraction_minor      numeric NOT NULL,
    churn_minor            numeric NOT NULL,
    fx_minor               numeric NOT NULL,
    customers_won          bigint NOT NULL,
    customers_lost         bigint NOT NULL,
    logo_churn_percent     numeric,
    gross_churn_percent    numeric,
    net_churn_percent      numeric,
    net_retention_percent  numeric,
    PRIMARY KEY (step, at, split_by, part)
);

-- How many of the tenants that took their first step in a month came how far.
CREATE TABLE rollup_activation (
    cohort              date NOT NULL,
    place               integer NOT NULL,
    step                text COLLATE "C" NOT NULL,
    tenants             bigint NOT NULL,
    percent_of_first    numeric,
    percent_of_previous numeric,
    median_hours        numeric,
    PRIMARY KEY (cohort, place)
);

-- What a month's usage of a metric cost us, and the hours that it saved a tenant.
CREATE TABLE rollup_roi (
    month       date NOT NULL,
    tenant      text COLLATE "C" NOT NULL,
    metric      text COLLATE "C" NOT NULL,
    quantity    numeric(38,9) NOT NULL,
    cost_minor  numeric,
    currency    text COLLATE "C",
    hours_saved numeric,
    PRIMARY KEY (month, tenant, metric)
);

-- When each of them was last made.
CREATE TABLE rollup_runs (
    rollup   text COLLATE "C" PRIMARY KEY CHECK (rollup IN ('revenue', 'activation', 'roi')),
    made_at  timestamptz NOT NULL,
    currency text COLLATE "C"
);

GRANT ALL ON exchange_rates, product_events, rollup_revenue, rollup_activation, rollup_roi, rollup_runs TO meterline_ctl;
GRANT SELECT ON rollup_revenue, rollup_activation, rollup_roi, rollup_runs TO meterline_grafana;
GRANT SELECT ON exchange_rates TO meterline_api;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['product_events', 'rollup_roi'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY stages ON %I TO meterline_aggregator, meterline_sink,
            meterline_webhookd, meterline_notifier, meterline_api, meterline_ctl USING (true) WITH CHECK (true)', t);
        EXECUTE format('CREATE POLICY own ON %I FOR SELECT TO meterline_tenant
            USING (tenant = current_setting(''meterline.tenant'', true))', t);
    END LOOP;
    CREATE POLICY dashboards ON rollup_roi FOR SELECT TO meterline_grafana USING (true);
END $$;

COMMENT ON TABLE exchange_rates IS 'What currencies are worth, for sums of several of them.';
COMMENT ON COLUMN exchange_rates.currency IS 'Of which one is worth the rate.';
COMMENT ON COLUMN exchange_rates.reporting_currency IS 'What it is worth it in.';
COMMENT ON COLUMN exchange_rates.valid_from IS 'Since when; until the next row.';
COMMENT ON COLUMN exchange_rates.rate IS 'How much of the reporting currency, in major units.';
COMMENT ON COLUMN exchange_rates.updated_at IS 'When it was written.';

COMMENT ON TABLE product_events IS 'When each tenant first took a step in the product.';
COMMENT ON COLUMN product_events.tenant IS 'Who took it.';
COMMENT ON COLUMN product_events.step IS 'Which one, such as preview, analytics or report.';
COMMENT ON COLUMN product_events.occurred_at IS 'When, for the first time.';

COMMENT ON TABLE rollup_revenue IS 'Recurring revenue at the end of each day and month, and what moved it.';
COMMENT ON COLUMN rollup_revenue.step IS 'day or month: how long ago the time before is.';
COMMENT ON COLUMN rollup_revenue.at IS 'When: the end of that day or month, in UTC.';
COMMENT ON COLUMN rollup_revenue.split_by IS 'Empty: all of it; plan or currency: one part of it.';
COMMENT ON COLUMN rollup_revenue.part IS 'Which plan or currency; empty: all, or no plan.';
COMMENT ON COLUMN rollup_revenue.currency IS 'Of the amounts, which are in its minor units.';
COMMENT ON COLUMN rollup_revenue.mrr_minor IS 'Recurring revenue a month.';
COMMENT ON COLUMN rollup_revenue.arr_minor IS 'Recurring revenue a year.';
COMMENT ON COLUMN rollup_revenue.customers IS 'Those with recurring revenue.';
COMMENT ON COLUMN rollup_revenue.arpu_minor IS 'Recurring revenue a month of a customer, on average.';
COMMENT ON COLUMN rollup_revenue.unpriced_subscriptions IS 'Subscriptions that count for nothing, since a price is not known.';
COMMENT ON COLUMN rollup_revenue.new_minor IS 'Of customers who never paid before.';
COMMENT ON COLUMN rollup_revenue.reactivation_minor IS 'Of customers who had left.';
COMMENT ON COLUMN rollup_revenue.expansion_minor IS 'What customers pay more.';
COMMENT ON COLUMN rollup_revenue.contraction_minor IS 'What customers pay less.';
COMMENT ON COLUMN rollup_revenue.churn_minor IS 'Of customers who pay no longer.';
COMMENT ON COLUMN rollup_revenue.fx_minor IS 'What exchange rates changed.';
COMMENT ON COLUMN rollup_revenue.customers_won IS 'Customers who pay since.';
COMMENT ON COLUMN rollup_revenue.customers_lost IS 'Customers who pay no longer.';
COMMENT ON COLUMN rollup_revenue.logo_churn_percent IS 'Customers lost, of those at the beginning.';
COMMENT ON COLUMN rollup_revenue.gross_churn_percent IS 'Contraction and churn, of the revenue at the beginning.';
COMMENT ON COLUMN rollup_revenue.net_churn_percent IS 'The same less expansion.';
COMMENT ON COLUMN rollup_revenue.net_retention_percent IS 'What the customers of the beginning pay now, of what they paid.';

COMMENT ON TABLE rollup_activation IS 'How far tenants came in the product, by the month of their first step.';
COMMENT ON COLUMN rollup_activation.cohort IS 'The first day of the month of the first step.';
COMMENT ON COLUMN rollup_activation.place IS 'Which step it is, from 1.';
COMMENT ON COLUMN rollup_activation.step IS 'Its name.';
COMMENT ON COLUMN rollup_activation.tenants IS 'Who took it and all before it.';
COMMENT ON COLUMN rollup_activation.percent_of_first IS 'Of those who took the first one.';
COMMENT ON COLUMN rollup_activation.percent_of_previous IS 'Of those who took the one before.';
COMMENT ON COLUMN rollup_activation.median_hours IS 'How long after the first step, in half of the cases.';

COMMENT ON TABLE rollup_roi IS 'What usage cost us, and the hours that it saved tenants.';
COMMENT ON COLUMN rollup_roi.month IS 'The first day of the month, in UTC.';
COMMENT ON COLUMN rollup_roi.tenant IS 'Who used it.';
COMMENT ON COLUMN rollup_roi.metric IS 'What was used.';
COMMENT ON COLUMN rollup_roi.quantity IS 'How much, by its minutes.';
COMMENT ON COLUMN rollup_roi.cost_minor IS 'The quantity times cost_per_unit of the catalog, in minor units.';
COMMENT ON COLUMN rollup_roi.currency IS 'Of the cost.';
COMMENT ON COLUMN rollup_roi.hours_saved IS 'The quantity times hours_saved of the catalog.';

COMMENT ON TABLE rollup_runs IS 'When rollups were last made.';
COMMENT ON COLUMN rollup_runs.rollup IS 'Which one: revenue, activation or roi.';
COMMENT ON COLUMN rollup_runs.made_at IS 'When.';
COMMENT ON COLUMN rollup_runs.currency IS 'The currency of its sums; NULL: it has none.';
