-- Who is billed, for which periods. Written by webhookd from Stripe's events.

CREATE TABLE billing_customers (
    tenant             text COLLATE "C" PRIMARY KEY,
    stripe_customer_id text COLLATE "C" NOT NULL UNIQUE,
    email              text,
    deleted_at         timestamptz,
    event_created      timestamptz,          -- of the newest event applied
    updated_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE subscriptions (
    stripe_subscription_id text COLLATE "C" PRIMARY KEY,
    tenant                 text COLLATE "C" NOT NULL,
    stripe_customer_id     text COLLATE "C" NOT NULL,
    plan                   text COLLATE "C" REFERENCES plans,
    status                 text NOT NULL,
    current_period_start   timestamptz NOT NULL,
    current_period_end     timestamptz NOT NULL,
    billing_cycle_anchor   timestamptz NOT NULL,
    billing_interval       text NOT NULL DEFAULT 'month' CHECK (billing_interval IN ('day', 'week', 'month', 'year')),
    interval_count         integer NOT NULL DEFAULT 1 CHECK (interval_count > 0),
    started_at             timestamptz NOT NULL,
    ended_at               timestamptz,
    cancel_at_period_end   boolean NOT NULL DEFAULT false,
    past_due_since         timestamptz,
    currency               text,
    event_created          timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subscriptions_tenant ON subscriptions (tenant);

CREATE TABLE subscription_items (
    stripe_subscription_item_id text COLLATE "C" PRIMARY KEY,
    stripe_subscription_id      text COLLATE "C" NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    tenant                      text COLLATE "C" NOT NULL,
    metric                      text COLLATE "C", -- NULL: not metered by us (a base fee)
    stripe_price_id             text COLLATE "C" NOT NULL,
    quantity                    bigint
);
CREATE INDEX subscription_items_subscription ON subscription_items (stripe_subscription_id);

-- Periods that Stripe told of. Edges are whole minutes: the minute is the resolution of usage.
CREATE TABLE billing_periods (
    tenant                 text COLLATE "C" NOT NULL,
    period_start           timestamptz NOT NULL,
    period_end             timestamptz NOT NULL,
    stripe_subscription_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, period_start),
    CHECK (period_start < period_end)
);
CREATE INDEX billing_periods_end ON billing_periods (period_end);

-- The newest periods_version that touched a tenant, so that aggregators forget just what changed.
CREATE TABLE billing_period_changes (
    tenant  text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
);
CREATE INDEX billing_period_changes_version ON billing_period_changes (version);

CREATE TABLE webhook_events (
    event_id        text COLLATE "C" PRIMARY KEY,
    type            text NOT NULL,
    state           text COLLATE "C" NOT NULL DEFAULT 'received'
        CHECK (state IN ('received', 'processed', 'ignored', 'failed')),
    object_id       text COLLATE "C",        -- of data.object
    created_at      timestamptz NOT NULL,    -- by Stripe
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    payload         json,                    -- as it came; NULL once its retention has passed
    error           text,                    -- why it was ignored or failed
    received_at     timestamptz NOT NULL DEFAULT now(),
    processed_at    timestamptz
);
CREATE INDEX webhook_events_state ON webhook_events (state, received_at);
CREATE INDEX webhook_events_waiting ON webhook_events (next_attempt_at) WHERE state = 'received';
CREATE INDEX webhook_events_object ON webhook_events (object_id) WHERE state = 'received';

CREATE TABLE invoices (
    stripe_invoice_id      text COLLATE "C" PRIMARY KEY,
    tenant                 text COLLATE "C" NOT NULL,
    stripe_customer_id     text COLLATE "C" NOT NULL,
    stripe_subscription_id text COLLATE "C",
    status                 text NOT NULL,
    currency               text NOT NULL,
    amount_due_minor       bigint NOT NULL,
    amount_paid_minor      bigint NOT NULL,
    period_start           timestamptz,
    period_end             timestamptz,
    finalized_at           timestamptz,
    event_created          timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invoices_tenant ON invoices (tenant, period_start);

CREATE TABLE payments (
    stripe_payment_id text COLLATE "C" PRIMARY KEY,
    tenant            text COLLATE "C" NOT NULL,
    stripe_invoice_id text COLLATE "C",
    status            text NOT NULL,
    currency          text NOT NULL,
    amount_minor      bigint NOT NULL,
    paid_at           timestamptz,
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payments_tenant ON payments (tenant);

-- Append-only: what changed in a tenant's billing, and by which event.
CREATE TABLE billing_history (
    history_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,   -- such as subscription_updated
    object_id   text COLLATE "C",
    event_id    text COLLATE "C",
    detail      jsonb NOT NULL DEFAULT '{}',
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX billing_history_tenant ON billing_history (tenant, recorded_at);
