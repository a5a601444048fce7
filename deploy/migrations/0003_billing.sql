-- Who is billed, for which periods. Written by webhookd from Stripe's events.

CREATE TABLE billing_customers (
    tenant             text COLLATE "C" PRIMARY KEY,
    stripe_customer_id text COLLATE "C" NOT NULL UNIQUE,
    email              text,
    deleted_at         timestamptz,
    contested_since    timestamptz,          -- two customers with a subscription each have this tenant: nothing is sent
    updated_at         timestamptz NOT NULL DEFAULT now()
);

-- Every customer that an event told of, and whose it is. The one that a tenant is billed by is in billing_customers;
-- another one of the same tenant is superseded. Whose it is was told first by the least claim_rank, and of these by the
-- least claimed_at: 0 the customer itself, 1 a subscription, 2 an invoice, 3 a checkout.
CREATE TABLE stripe_customers (
    stripe_customer_id text COLLATE "C" PRIMARY KEY,
    tenant             text COLLATE "C",
    claim_rank         smallint,
    claimed_at         timestamptz,
    email              text,
    balance_minor      bigint,               -- what it owes beyond its invoices; less than 0: a credit
    created_at         timestamptz,          -- by Stripe
    seen_at            timestamptz NOT NULL, -- of the oldest event that told of it
    deleted_at         timestamptz,
    chosen_at          timestamptz,          -- when a person decided that its tenant is billed by it
    updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stripe_customers_tenant ON stripe_customers (tenant);

-- What each event said of its object, whatever the order they came in: the state of an object is made of all of them.
-- common/stripe/objects/observation.h tells what each column means. A fetched object has the event_id ''.
CREATE TABLE stripe_observations (
    object_id     text COLLATE "C" NOT NULL,
    created_at    timestamptz NOT NULL,      -- of the event; of a fetched object: when it was fetched
    event_id      text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    type          text COLLATE "C" NOT NULL DEFAULT '',
    group_id      text COLLATE "C" NOT NULL, -- the payment that a charge or refund is part of; else the object
    customer_id   text COLLATE "C",
    parent_id     text COLLATE "C",          -- of a payment: its invoice; of an invoice: its subscription
    tenant        text COLLATE "C",          -- that the object names
    is_first      boolean NOT NULL,
    is_final      boolean NOT NULL,
    is_last       boolean NOT NULL DEFAULT true, -- of those of its second
    rank          smallint NOT NULL,
    state         text COLLATE "C" NOT NULL,
    prior         text COLLATE "C",
    shape         text COLLATE "C",
    status        text,
    prior_status  text,
    starts_at     timestamptz,               -- the period of a subscription, after the event …
    ends_at       timestamptz,
    prior_starts_at timestamptz,             -- … and before
    prior_ends_at timestamptz,
    request_id    text COLLATE "C",
    facts         jsonb NOT NULL,
    detail        jsonb,
    noted_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (object_id, created_at, event_id)
);
CREATE INDEX stripe_observations_group ON stripe_observations (group_id) WHERE group_id <> object_id;
CREATE INDEX stripe_observations_customer ON stripe_observations (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX stripe_observations_parent ON stripe_observations (parent_id) WHERE group_id <> object_id;
CREATE INDEX stripe_observations_event ON stripe_observations (event_id) WHERE event_id <> '';
CREATE INDEX stripe_observations_noted ON stripe_observations (noted_at);

-- Prices that subscriptions have or had. Amounts of a price never change at Stripe. What was once a plan's stays a
-- plan's, whatever becomes of its lookup key: the plan that was told first by the least plan_rank.
CREATE TABLE stripe_prices (
    stripe_price_id  text COLLATE "C" PRIMARY KEY,
    plan             text COLLATE "C" REFERENCES plans,
    plan_rank        smallint,               -- 0 lookup key, 1 metadata of the price, 2 of the product, 3 product id
    plan_at          timestamptz,
    metric           text COLLATE "C",       -- that it bills; NULL: a fee
    metric_rank      smallint,               -- 0 metadata, 1 lookup key
    metric_at        timestamptz,
    stripe_product_id text COLLATE "C",
    lookup_key       text COLLATE "C",       -- by which it was first known
    currency         text COLLATE "C",
    unit_amount      numeric(24,12),         -- minor units; NULL: it has tiers
    billing_scheme   text,
    tiers_mode       text,
    tiers            jsonb,
    divide_by        bigint,
    divide_round     text,
    billing_interval text,
    interval_count   integer,
    usage_type       text,
    meter            text,
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- What a discount takes off. Events give only its id; the object that is fetched, or an older API version, has it all.
CREATE TABLE stripe_discounts (
    stripe_discount_id text COLLATE "C" PRIMARY KEY,
    stripe_coupon_id   text COLLATE "C",
    duration           text NOT NULL,        -- forever, once, repeating
    percent_off        numeric(7,4),
    amount_off         bigint,
    currency           text COLLATE "C",
    starts_at          timestamptz,
    ends_at            timestamptz           -- of repeating ones
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
    cancel_at              timestamptz,      -- when it will end, whichever way that was asked for
    canceled_at            timestamptz,
    cancel_reason          text,
    past_due_since         timestamptz,
    trial_start            timestamptz,
    trial_end              timestamptz,
    collection_paused      text,             -- what becomes of invoices meanwhile; NULL: it is not paused
    collection_resumes_at  timestamptz,
    collection_method      text,
    billing_mode           text,
    schedule               text COLLATE "C",
    discounts              jsonb NOT NULL DEFAULT '[]',
    tax_rates              jsonb NOT NULL DEFAULT '[]', -- [{id, percentage, inclusive}]
    automatic_tax          boolean NOT NULL DEFAULT false,
    latest_invoice         text COLLATE "C",
    plan_quantity          bigint NOT NULL DEFAULT 1, -- how often the plan was bought
    currency               text COLLATE "C",
    event_created          timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subscriptions_tenant ON subscriptions (tenant);
CREATE INDEX subscriptions_past_due ON subscriptions ((coalesce(past_due_since, updated_at))) WHERE status = 'past_due';
CREATE INDEX subscriptions_resume ON subscriptions (collection_resumes_at) WHERE collection_resumes_at IS NOT NULL;
CREATE INDEX subscriptions_customer ON subscriptions (stripe_customer_id);

-- Tenants with several subscriptions that stand: each bills the tenant's usage, one alone decides the limits.
CREATE VIEW doubled_subscriptions WITH (security_invoker = true) AS
    SELECT s.tenant, array_agg(s.stripe_subscription_id ORDER BY s.stripe_subscription_id) AS subscriptions,
           array_agg(DISTINCT s.stripe_customer_id) AS customers,
           (array_agg(s.started_at ORDER BY s.started_at))[2] AS since
      FROM subscriptions s
     WHERE s.status NOT IN ('canceled', 'incomplete', 'incomplete_expired')
     GROUP BY s.tenant
    HAVING count(*) > 1;

CREATE TABLE subscription_items (
    stripe_subscription_item_id text COLLATE "C" PRIMARY KEY,
    stripe_subscription_id      text COLLATE "C" NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    tenant                      text COLLATE "C" NOT NULL,
    metric                      text COLLATE "C", -- NULL: not metered by us (a base fee)
    stripe_price_id             text COLLATE "C" NOT NULL,
    quantity                    bigint,
    current_period_start        timestamptz,
    current_period_end          timestamptz,
    currency                    text COLLATE "C",
    unit_amount                 numeric(24,12), -- minor units; NULL: it has tiers
    tiers                       jsonb,
    billing_interval            text,
    interval_count              integer,
    usage_type                  text,
    discounts                   jsonb NOT NULL DEFAULT '[]',
    tax_rates                   jsonb NOT NULL DEFAULT '[]' -- in place of the subscription's, where there are any
);
CREATE INDEX subscription_items_price ON subscription_items (stripe_price_id);
CREATE INDEX subscription_items_subscription ON subscription_items (stripe_subscription_id);

-- What a subscription was, from valid_from until the next row: what revenue figures need, and Stripe forgets.
CREATE TABLE subscription_states (
    stripe_subscription_id text COLLATE "C" NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    valid_from             timestamptz NOT NULL,
    tenant                 text COLLATE "C" NOT NULL,
    stripe_customer_id     text COLLATE "C" NOT NULL,
    plan                   text COLLATE "C",
    status                 text NOT NULL,
    currency               text COLLATE "C",
    items                  jsonb NOT NULL,   -- [{id, price, quantity, discounts}], by id
    discounts              jsonb NOT NULL,
    cancel_at              timestamptz,
    cancel_reason          text,
    collection_paused      text,
    shape                  text COLLATE "C" NOT NULL, -- a digest: rows that follow each other differ in it
    PRIMARY KEY (stripe_subscription_id, valid_from)
);
CREATE INDEX subscription_states_tenant ON subscription_states (tenant, valid_from);

-- An exact amount, such as a third, which no decimal number is.
CREATE TYPE fraction AS (numerator numeric, denominator numeric);

-- What each customer earns us a month, as last told: the sum of subscription_mrr() over its subscriptions.
CREATE TABLE customer_mrr (
    stripe_customer_id text COLLATE "C" NOT NULL,
    currency           text COLLATE "C" NOT NULL,
    tenant             text COLLATE "C" NOT NULL,
    mrr                fraction NOT NULL,    -- in minor units
    is_known           boolean NOT NULL,     -- false: a price or its tiers are not known, and it is the last known sum
    paid_since         timestamptz,          -- when it was first more than nothing
    changes            bigint NOT NULL DEFAULT 0,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stripe_customer_id, currency)
);

-- Sums that were reached for the first time.
CREATE TABLE milestones (
    what       text COLLATE "C" NOT NULL,    -- mrr or customers
    currency   text COLLATE "C" NOT NULL,    -- '' of customers
    value      numeric NOT NULL,             -- in the currency's major unit
    reached_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (what, currency, value)
);

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
    customer_id     text COLLATE "C",        -- whose it is, where the event says it
    priority        smallint NOT NULL DEFAULT 2, -- 0, 1: its customer waits for it (webhookd/receive/priority.h)
    created_at      timestamptz NOT NULL,    -- by Stripe
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    payload         text COMPRESSION lz4,    -- as it came; NULL once its retention has passed
    error           text,                    -- why it was ignored or failed
    received_at     timestamptz NOT NULL DEFAULT now(),
    processed_at    timestamptz
);
CREATE INDEX webhook_events_state ON webhook_events (state, received_at) WHERE state <> 'received';
-- None of them could serve in place of the other. What PostgreSQL knows of the table is mostly from a time when nothing
-- waited: for one event it would take any index, and go through all of a backlog.
CREATE INDEX webhook_events_waiting ON webhook_events (next_attempt_at) WHERE state = 'received' AND priority >= 2;
CREATE INDEX webhook_events_urgent ON webhook_events (priority, next_attempt_at) WHERE state = 'received' AND priority < 2;
CREATE INDEX webhook_events_customer ON webhook_events (customer_id, next_attempt_at) WHERE state = 'received';

-- What is read from Stripe's lists, by one process at a time: events that were never delivered, and objects as they are.
CREATE TABLE stripe_catch_up (
    name        text COLLATE "C" PRIMARY KEY CHECK (name IN ('events', 'objects')),
    owner       text COLLATE "C",            -- who reads, until lease_until
    lease_until timestamptz,
    position_at timestamptz,                 -- events: all that were created before it have been read
    started_at  timestamptz,                 -- of objects: of a run that has not ended
    step        text COLLATE "C",            -- of objects: the list that is being read …
    after_id    text COLLATE "C",            -- … up to this object
    read_count  jsonb NOT NULL DEFAULT '{}', -- of objects: how many were read, by step
    done_at     timestamptz                  -- when the last run ended
);
INSERT INTO stripe_catch_up (name) VALUES ('events'), ('objects');

CREATE TABLE invoices (
    stripe_invoice_id      text COLLATE "C" PRIMARY KEY,
    tenant                 text COLLATE "C" NOT NULL,
    stripe_customer_id     text COLLATE "C" NOT NULL,
    stripe_subscription_id text COLLATE "C",
    status                 text NOT NULL,
    currency               text COLLATE "C" NOT NULL,
    amount_due_minor       bigint NOT NULL,
    amount_paid_minor      bigint NOT NULL,
    amount_remaining_minor bigint,
    subtotal_minor         bigint,
    total_minor            bigint,
    tax_minor              bigint,
    number                 text,             -- NULL while it is a draft
    billing_reason         text,
    collection_method      text,
    attempt_count          bigint,
    next_payment_attempt   timestamptz,
    due_at                 timestamptz,
    created_at             timestamptz,      -- by Stripe
    period_start           timestamptz,
    period_end             timestamptz,
    finalized_at           timestamptz,
    paid_at                timestamptz,
    finalization_error     text,
    event_created          timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invoices_tenant ON invoices (tenant, period_start);
CREATE INDEX invoices_created ON invoices (created_at);
CREATE INDEX invoices_paid ON invoices (paid_at);

-- What a later invoice will have, such as prorations, until an invoice takes it.
CREATE TABLE invoice_items (
    stripe_invoice_item_id      text COLLATE "C" PRIMARY KEY,
    tenant                      text COLLATE "C" NOT NULL,
    stripe_customer_id          text COLLATE "C" NOT NULL,
    stripe_subscription_id      text COLLATE "C",   -- NULL: the next invoice of whichever
    stripe_subscription_item_id text COLLATE "C",
    stripe_invoice_id           text COLLATE "C",   -- NULL: no event told that one has taken it
    stripe_price_id             text COLLATE "C",
    description                 text,
    currency                    text COLLATE "C" NOT NULL,
    amount_minor                bigint NOT NULL,
    quantity                    bigint,
    is_proration                boolean NOT NULL,
    is_discountable             boolean NOT NULL,
    tax_rates                   jsonb NOT NULL DEFAULT '[]', -- in place of the subscription's, where there are any
    period_start                timestamptz,
    period_end                  timestamptz,
    item_at                     timestamptz NOT NULL,
    deleted_at                  timestamptz,
    updated_at                  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invoice_items_customer ON invoice_items (stripe_customer_id, item_at);

-- What a subscription will be: each phase from start to end (Unix seconds) with its items.
CREATE TABLE stripe_schedules (
    stripe_schedule_id     text COLLATE "C" PRIMARY KEY,
    tenant                 text COLLATE "C" NOT NULL,
    stripe_customer_id     text COLLATE "C" NOT NULL,
    stripe_subscription_id text COLLATE "C",
    status                 text NOT NULL,
    phases                 jsonb NOT NULL,   -- [{start, end, items: [{price, quantity}]}]
    updated_at             timestamptz NOT NULL DEFAULT now()
);

-- One row a payment, whichever events told of it: by its payment intent, else by its charge.
CREATE TABLE payments (
    stripe_payment_id  text COLLATE "C" PRIMARY KEY,
    tenant             text COLLATE "C" NOT NULL,
    stripe_customer_id text COLLATE "C" NOT NULL,
    stripe_invoice_id  text COLLATE "C",
    status             text NOT NULL,        -- succeeded, failed, pending, canceled
    currency           text COLLATE "C" NOT NULL,
    amount_minor       bigint NOT NULL,
    refunded_minor     bigint NOT NULL DEFAULT 0,
    failure_code       text,
    paid_at            timestamptz,
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payments_tenant ON payments (tenant);

CREATE TABLE checkout_sessions (
    stripe_session_id      text COLLATE "C" PRIMARY KEY,
    tenant                 text COLLATE "C" NOT NULL,
    stripe_customer_id     text COLLATE "C" NOT NULL,
    stripe_subscription_id text COLLATE "C",
    stripe_invoice_id      text COLLATE "C",
    status                 text,
    payment_status         text,
    mode                   text,
    client_reference_id    text,
    currency               text COLLATE "C",
    amount_total_minor     bigint,
    created_at             timestamptz,
    expires_at             timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX checkout_sessions_tenant ON checkout_sessions (tenant);

-- Append-only: what changed in a tenant's billing, and by which event.
CREATE TABLE billing_history (
    history_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,   -- such as subscription_updated
    object_id   text COLLATE "C",
    event_id    text COLLATE "C",
    actor       text,                        -- the API key that did it, by its name; NULL: Stripe told, or meterctl did
    detail      jsonb NOT NULL DEFAULT '{}', -- {"before": …, "after": …}: what changed
    occurred_at timestamptz,                 -- by Stripe
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX billing_history_event ON billing_history (event_id);
CREATE INDEX billing_history_tenant ON billing_history (tenant, recorded_at);
