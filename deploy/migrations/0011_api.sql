-- The API: who may call it, and what it was asked to change.

-- Keys, by a hash of each. A revoked key stays here, so that the history can be read.
CREATE TABLE api_keys (
    key_id       text COLLATE "C" PRIMARY KEY DEFAULT 'key_' || replace(gen_random_uuid()::text, '-', ''),
    name         text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 64),
    secret_hash  bytea NOT NULL UNIQUE CHECK (octet_length(secret_hash) = 32), -- BLAKE2b of the key
    role         text COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    tenant       text COLLATE "C",           -- that it is bound to; NULL: all
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL DEFAULT session_user, -- a login of PostgreSQL, or another key
    expires_at   timestamptz,
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;

-- Tokens for a customer's browser. They stop with the key that made them.
CREATE TABLE portal_tokens (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    tenant     text COLLATE "C" NOT NULL,
    key_id     text COLLATE "C" NOT NULL REFERENCES api_keys,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX portal_tokens_expires ON portal_tokens (expires_at);

-- Changes that were asked for under an Idempotency-Key, for 24 hours: the answer that a repetition gets, or who works on
-- it, and how far an earlier try came.
CREATE TABLE api_requests (
    tenant          text COLLATE "C" NOT NULL, -- '': of all
    idempotency_key text COLLATE "C" NOT NULL,
    request_id      text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text, -- the key may be used again after that time
    digest          bytea NOT NULL,            -- of key, method, path and body
    method          text NOT NULL,
    path            text NOT NULL,             -- the route's
    key_id          text COLLATE "C" NOT NULL, -- who asked
    owner           text COLLATE "C" NOT NULL, -- the process that works on it …
    lease_until     timestamptz NOT NULL,      -- … and renews this; after that another try goes on
    attempt         integer NOT NULL DEFAULT 1,
    progress        text COMPRESSION lz4,      -- JSON, of the route's own
    status          integer,                   -- NULL: not answered yet
    answer          text COMPRESSION lz4,      -- NULL with a status: it had a secret
    created_at      timestamptz NOT NULL DEFAULT now(),
    answered_at     timestamptz,
    PRIMARY KEY (tenant, idempotency_key)
);
CREATE INDEX api_requests_created ON api_requests (created_at);
CREATE INDEX api_requests_working ON api_requests (owner) WHERE status IS NULL;

-- Usage of long ago that is let in on purpose: an entry that names one in the field backfill may be that old.
CREATE TABLE usage_backfills (
    backfill_id text COLLATE "C" PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    from_at     timestamptz NOT NULL,          -- when it was used: from …
    until_at    timestamptz NOT NULL,          -- … until
    reason      text NOT NULL,
    opened_by   text NOT NULL,                 -- name of the API key
    opened_at   timestamptz NOT NULL DEFAULT now(),
    ends_at     timestamptz NOT NULL,          -- nothing is let in after that
    CHECK (from_at < until_at)
);
CREATE INDEX usage_backfills_ends ON usage_backfills (ends_at);
GRANT SELECT ON usage_backfills TO meterline_aggregator;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_backfills TO meterline_ctl;
COMMENT ON TABLE usage_backfills IS 'Usage of long ago that was let in on purpose, by whom and why.';
COMMENT ON COLUMN usage_backfills.backfill_id IS 'What entries name in the field backfill.';
COMMENT ON COLUMN usage_backfills.tenant IS 'Whose usage it is.';
COMMENT ON COLUMN usage_backfills.from_at IS 'When the usage was: from then …';
COMMENT ON COLUMN usage_backfills.until_at IS '… until then.';
COMMENT ON COLUMN usage_backfills.reason IS 'Why, in somebody''s words.';
COMMENT ON COLUMN usage_backfills.opened_by IS 'Name of the API key.';
COMMENT ON COLUMN usage_backfills.opened_at IS 'When it was first let in.';
COMMENT ON COLUMN usage_backfills.ends_at IS 'Nothing is let in after that.';

GRANT SELECT ON api_keys TO meterline_api;
GRANT SELECT, INSERT, DELETE, UPDATE ON portal_tokens TO meterline_api;   -- UPDATE: to lock
GRANT SELECT, INSERT, UPDATE, DELETE ON api_requests TO meterline_api;
GRANT INSERT (tenant, kind, object_id, actor, detail, occurred_at) ON billing_history TO meterline_api;
GRANT SELECT, INSERT, UPDATE ON alert_settings TO meterline_api;
GRANT INSERT ON alert_checks TO meterline_api;
GRANT INSERT, UPDATE, DELETE ON tenant_limits TO meterline_api;
GRANT SELECT (state, received_at) ON webhook_events TO meterline_api;     -- how many wait: /api/admin/pipeline
GRANT SELECT (state, waiting_since) ON outgoing_messages TO meterline_api;
GRANT SELECT (reason, replayed_at) ON rejected_events TO meterline_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys, portal_tokens, api_requests TO meterline_ctl;

-- As in 0006_access.sql.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['api_keys', 'portal_tokens', 'api_requests'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY stages ON %I TO meterline_api, meterline_ctl USING (true) WITH CHECK (true)', t);
    END LOOP;
    ALTER TABLE usage_backfills ENABLE ROW LEVEL SECURITY;
    CREATE POLICY stages ON usage_backfills TO meterline_aggregator, meterline_ctl USING (true) WITH CHECK (true);
END $$;

COMMENT ON TABLE api_keys IS 'Keys of the API, by a hash of each; those that were revoked too.';
COMMENT ON COLUMN api_keys.key_id IS 'Names the key without telling it.';
COMMENT ON COLUMN api_keys.name IS 'What people call it; the history has it.';
COMMENT ON COLUMN api_keys.secret_hash IS 'BLAKE2b of the key, 32 bytes.';
COMMENT ON COLUMN api_keys.role IS 'viewer, editor or admin.';
COMMENT ON COLUMN api_keys.tenant IS 'The tenant that it is bound to; NULL: it may name any.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN api_keys.created_by IS 'The login or the key that made it.';
COMMENT ON COLUMN api_keys.expires_at IS 'From then on it is refused; NULL: never.';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was revoked; NULL: it was not.';
COMMENT ON TABLE portal_tokens IS 'Tokens for customers'' browsers, by a hash of each.';
COMMENT ON COLUMN portal_tokens.token_hash IS 'BLAKE2b of the token, 32 bytes.';
COMMENT ON COLUMN portal_tokens.tenant IS 'The tenant that it shows.';
COMMENT ON COLUMN portal_tokens.key_id IS 'The key that made it, with which it stops.';
COMMENT ON COLUMN portal_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN portal_tokens.expires_at IS 'From then on it is refused.';
COMMENT ON TABLE api_requests IS 'Changes asked for under an Idempotency-Key in the last 24 hours.';
COMMENT ON COLUMN api_requests.tenant IS 'The tenant; empty where it was about all of them.';
COMMENT ON COLUMN api_requests.idempotency_key IS 'The caller''s key.';
COMMENT ON COLUMN api_requests.request_id IS 'Names the request: what it does once is named by it.';
COMMENT ON COLUMN api_requests.digest IS 'A hash of API key, method, address and body: a repetition has the same.';
COMMENT ON COLUMN api_requests.method IS 'The HTTP method.';
COMMENT ON COLUMN api_requests.path IS 'The path of the route.';
COMMENT ON COLUMN api_requests.key_id IS 'The API key that asked.';
COMMENT ON COLUMN api_requests.owner IS 'The process that works on it, or did.';
COMMENT ON COLUMN api_requests.lease_until IS 'While it is not answered: until then it is the owner''s.';
COMMENT ON COLUMN api_requests.attempt IS 'How often it was begun.';
COMMENT ON COLUMN api_requests.progress IS 'How far it came, for the next attempt; JSON.';
COMMENT ON COLUMN api_requests.status IS 'HTTP status of the answer; NULL: not answered yet.';
COMMENT ON COLUMN api_requests.answer IS 'The answer''s body; NULL of one that had a secret, which is told once.';
COMMENT ON COLUMN api_requests.created_at IS 'When it was first asked for.';
COMMENT ON COLUMN api_requests.answered_at IS 'When the answer was stored.';
