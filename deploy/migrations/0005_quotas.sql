-- What tenants may use, and how much of it they have used.

CREATE TABLE usage_quotas (
    tenant         text COLLATE "C" NOT NULL,
    metric         text COLLATE "C" NOT NULL,
    limit_quantity numeric(38,9),            -- NULL: unlimited
    cap            text NOT NULL CHECK (cap IN ('none', 'soft', 'hard')),
    limit_window   text COLLATE "C" NOT NULL DEFAULT 'period' CHECK (limit_window IN ('period', 'month', 'day')),
    grace_until    timestamptz,
    refreshed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, metric)
);

CREATE TABLE usage_alerts (
    tenant            text COLLATE "C" NOT NULL,
    metric            text COLLATE "C" NOT NULL,
    limit_window      text COLLATE "C" NOT NULL,          -- period, month or day
    period_start      timestamptz NOT NULL,   -- of that window
    threshold_percent integer NOT NULL,
    limit_quantity    numeric(38,9) NOT NULL,
    raised_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, metric, period_start, limit_window, threshold_percent, limit_quantity)
);

-- Usage that may have passed a threshold, or whose limit is another one: for the notifier, which deletes what it has
-- looked at. Whoever notes it only adds a row, so that nobody waits.
CREATE TABLE alert_checks (
    check_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   text COLLATE "C" NOT NULL,
    metric   text COLLATE "C" NOT NULL
);
-- Declared for the triggers below; what it does is in deploy/functions. While it has nothing to do, it is not called.
CREATE FUNCTION note_alert_check() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE TRIGGER note_alert_check_first AFTER INSERT ON usage_totals
    FOR EACH ROW WHEN (NEW.period_end > now()) EXECUTE FUNCTION note_alert_check();
CREATE TRIGGER note_alert_check BEFORE UPDATE ON usage_totals
    FOR EACH ROW WHEN (CASE WHEN NEW.window_end IS NULL THEN NEW.quantity ELSE coalesce(NEW.window_quantity, 0) END
                           >= NEW.alert_at
                       OR (NEW.window_start, NEW.window_end, NEW.period_end)
                          IS DISTINCT FROM (OLD.window_start, OLD.window_end, OLD.period_end))
    EXECUTE FUNCTION note_alert_check();
CREATE TRIGGER note_alert_check_new AFTER INSERT ON usage_quotas
    FOR EACH ROW EXECUTE FUNCTION note_alert_check();
CREATE TRIGGER note_alert_check AFTER UPDATE ON usage_quotas
    FOR EACH ROW WHEN ((NEW.limit_quantity, NEW.limit_window) IS DISTINCT FROM (OLD.limit_quantity, OLD.limit_window))
    EXECUTE FUNCTION note_alert_check();

-- Whom a tenant's messages go to, beside billing:signals, which has all of them.
CREATE TABLE alert_settings (
    tenant      text COLLATE "C" PRIMARY KEY,
    email       text,
    post_url    text,
    post_secret text,                        -- signs what is posted
    thresholds  integer[],                   -- per cent of a limit; NULL: those of alert_thresholds
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((post_url IS NULL) = (post_secret IS NULL))
);

-- What is told to others, written in the transaction of what it tells of, and sent by the notifier: a row for each way
-- that a message goes. What happened once has one id, whoever notices it, and so is sent once.
CREATE TABLE outgoing_messages (
    message_id      text COLLATE "C" NOT NULL,
    channel         text COLLATE "C" NOT NULL CHECK (channel IN ('signal', 'mail', 'post')),
    tenant          text COLLATE "C" NOT NULL, -- '': it is of no tenant
    kind            text COLLATE "C" NOT NULL, -- such as payment_failed
    destination     text COLLATE "C" NOT NULL, -- '' for a signal, an address of mail, a URL
    data            jsonb NOT NULL,
    occurred_at     timestamptz NOT NULL,
    state           text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_until     timestamptz,             -- a notifier is sending it; if it dies, another one may after that
    created_at      timestamptz NOT NULL DEFAULT now(),
    waiting_since   timestamptz NOT NULL DEFAULT now(), -- how long it may be tried counts from here
    sent_at         timestamptz,
    error           text,                    -- why the last attempt failed
    PRIMARY KEY (message_id, channel)
);
CREATE INDEX outgoing_messages_due ON outgoing_messages (channel, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX outgoing_messages_address ON outgoing_messages (channel, destination, next_attempt_at)
    WHERE state = 'waiting';
CREATE INDEX outgoing_messages_leased ON outgoing_messages (channel, destination) WHERE lease_until IS NOT NULL;
CREATE INDEX outgoing_messages_failed ON outgoing_messages (channel) WHERE state = 'failed';
CREATE INDEX outgoing_messages_tenant ON outgoing_messages (tenant, created_at);
CREATE INDEX outgoing_messages_created ON outgoing_messages (created_at);

-- Addresses of mail and URLs that took nothing at the last attempt, whichever message it was for. Each gets one message
-- at a time until it takes one, so that it holds nobody else up.
CREATE TABLE failing_addresses (
    channel       text COLLATE "C" NOT NULL,
    destination   text COLLATE "C" NOT NULL,
    failures      integer NOT NULL,          -- attempts in a row
    failing_since timestamptz NOT NULL DEFAULT now(),
    retry_at      timestamptz NOT NULL,      -- nothing is tried before
    PRIMARY KEY (channel, destination)
);

-- Declared for the trigger below; what it does is in deploy/functions.
CREATE FUNCTION readdress_messages() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE TRIGGER readdress_messages AFTER UPDATE OR DELETE ON alert_settings
    FOR EACH ROW EXECUTE FUNCTION readdress_messages();

-- Tenants whose own limits changed, by whatever hand: webhookd brings them in line, writes them into the quota
-- cache, and forgets them here unless the number is another one since.
CREATE SEQUENCE limit_change;
CREATE TABLE limit_changes (
    tenant text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL
);
-- Declared for the trigger below; what it does is in deploy/functions.
CREATE FUNCTION note_limit_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE TRIGGER note_limit_change AFTER INSERT OR UPDATE OR DELETE ON tenant_limits
    FOR EACH ROW EXECUTE FUNCTION note_limit_change();
