-- What the API does at Stripe, so that nothing is done twice and nothing that was begun is lost.

-- One request at a time changes what a tenant has at Stripe. Its process renews the lease; one that died is followed by
-- the next request once it has passed.
CREATE TABLE tenant_locks (
    tenant      text COLLATE "C" PRIMARY KEY,
    owner       text COLLATE "C" NOT NULL, -- the request
    lease_until timestamptz NOT NULL
);

-- Each POST to Stripe, noted before it goes out. One whose outcome is not known is open: the tenant's next request sends it
-- again with the same key and bytes, or looks for what it made, before it does anything else.
CREATE TABLE stripe_operations (
    idempotency_key    text COLLATE "C" PRIMARY KEY, -- as sent to Stripe; what it makes has it in its metadata
    tenant             text COLLATE "C" NOT NULL,
    operation          text COLLATE "C" NOT NULL,    -- such as create_subscription
    request_digest     text COLLATE "C" NOT NULL,    -- of tenant, route and api_requests.request_id
    path               text NOT NULL,
    body               text NOT NULL,
    stripe_customer_id text COLLATE "C",
    state              text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'refused', 'spent')),
    object_id          text COLLATE "C",             -- that it made or changed
    error              text,
    begun_at           timestamptz NOT NULL DEFAULT now(),
    ended_at           timestamptz
);
CREATE INDEX stripe_operations_tenant ON stripe_operations (tenant, begun_at);
CREATE INDEX stripe_operations_begun ON stripe_operations (begun_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_locks, stripe_operations TO meterline_api;
GRANT INSERT (event_id, type, object_id, customer_id, priority, created_at, payload), SELECT (event_id, state)
    ON webhook_events TO meterline_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_locks, stripe_operations TO meterline_ctl;

-- As in 0006_access.sql.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['tenant_locks', 'stripe_operations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY stages ON %I TO meterline_api, meterline_ctl USING (true) WITH CHECK (true)', t);
    END LOOP;
END $$;

COMMENT ON TABLE tenant_locks IS 'Tenants of which a request changes what they have at Stripe.';
COMMENT ON COLUMN tenant_locks.tenant IS 'The tenant.';
COMMENT ON COLUMN tenant_locks.owner IS 'The request.';
COMMENT ON COLUMN tenant_locks.lease_until IS 'Until then no other request takes it; its process renews it.';
COMMENT ON TABLE stripe_operations IS 'Each POST of the API to Stripe, noted before it goes out, for 30 days.';
COMMENT ON COLUMN stripe_operations.idempotency_key IS 'The key that Stripe gets; what it makes has it in its metadata.';
COMMENT ON COLUMN stripe_operations.tenant IS 'The tenant.';
COMMENT ON COLUMN stripe_operations.operation IS 'What it does, such as create_subscription.';
COMMENT ON COLUMN stripe_operations.request_digest IS 'A hash of tenant, route and the request''s request_id.';
COMMENT ON COLUMN stripe_operations.path IS 'The path of Stripe''s API.';
COMMENT ON COLUMN stripe_operations.body IS 'The bytes that are sent each time; after 30 days they are gone, also of one that is open.';
COMMENT ON COLUMN stripe_operations.stripe_customer_id IS 'The customer that it is about; NULL: it makes one.';
COMMENT ON COLUMN stripe_operations.state IS
    'open: its outcome is not known; done; refused by Stripe; spent: a failure is stored under its key.';
COMMENT ON COLUMN stripe_operations.object_id IS 'The object that it made or changed.';
COMMENT ON COLUMN stripe_operations.error IS 'Why it was not done.';
COMMENT ON COLUMN stripe_operations.begun_at IS 'When it was first noted.';
COMMENT ON COLUMN stripe_operations.ended_at IS 'When its outcome was known.';
