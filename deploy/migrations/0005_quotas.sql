-- What tenants may use, and how much of it they have used.

CREATE TABLE usage_quotas (
    tenant         text COLLATE "C" NOT NULL,
    metric         text COLLATE "C" NOT NULL,
    limit_quantity numeric(38,9),            -- NULL: unlimited
    cap            text NOT NULL CHECK (cap IN ('none', 'soft', 'hard')),
    grace_until    timestamptz,
    refreshed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, metric)
);

CREATE TABLE usage_alerts (
    tenant            text COLLATE "C" NOT NULL,
    metric            text COLLATE "C" NOT NULL,
    period_start      timestamptz NOT NULL,
    threshold_percent integer NOT NULL,
    limit_quantity    numeric(38,9) NOT NULL,
    raised_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, metric, period_start, threshold_percent, limit_quantity)
);

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
