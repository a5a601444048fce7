-- Who is billed, for which periods. Written by webhookd from Stripe's events.

CREATE TABLE billing_customers (
    tenant             text PRIMARY KEY,
    stripe_customer_id text NOT NULL UNIQUE,
    email              text,
    deleted_at         timestamptz,
    event_created      timestamptz,          -- of the newest event applied
    updated_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE subscriptions (
    stripe_subscription_id text PRIMARY KEY,
    tenant                 text NOT NULL,
    stripe_customer_id     text NOT NULL,
    plan                   text REFERENCES plans,
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
    stripe_subscription_item_id text PRIMARY KEY,
    stripe_subscription_id      text NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    tenant                      text NOT NULL,
    metric                      text,        -- NULL: not metered by us (a base fee)
    stripe_price_id             text NOT NULL,
    quantity                    bigint
);
CREATE INDEX subscription_items_subscription ON subscription_items (stripe_subscription_id);

-- Periods that Stripe told of. Edges are whole minutes: the minute is the resolution of usage.
CREATE TABLE billing_periods (
    tenant                 text NOT NULL,
    period_start           timestamptz NOT NULL,
    period_end             timestamptz NOT NULL,
    stripe_subscription_id text NOT NULL,
    PRIMARY KEY (tenant, period_start),
    CHECK (period_start < period_end)
);
CREATE INDEX billing_periods_end ON billing_periods (period_end);

-- The newest periods_version that touched a tenant, so that aggregators forget just what changed.
CREATE TABLE billing_period_changes (
    tenant  text PRIMARY KEY,
    version bigint NOT NULL
);
CREATE INDEX billing_period_changes_version ON billing_period_changes (version);

CREATE FUNCTION minute_of(at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN date_trunc('minute', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';

-- The period of a subscription's cycle that holds the minute `at`, from anchor and interval alone, UTC. The
-- anchor is cut to its minute first, or the minute that holds the edge would lie in no period. Months are
-- added to the anchor itself, so that the 31st comes back after a short month.
CREATE FUNCTION project_period(anchor timestamptz, unit text, count integer, at timestamptz,
                               OUT period_start timestamptz, OUT period_end timestamptz)
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    a timestamp := minute_of(anchor) AT TIME ZONE 'UTC';
    t timestamp := at AT TIME ZONE 'UTC';
    months integer := CASE unit WHEN 'month' THEN count WHEN 'year' THEN 12 * count ELSE 0 END;
    span interval := CASE unit WHEN 'day' THEN make_interval(days => count)
                               WHEN 'week' THEN make_interval(weeks => count) END;
    n bigint;
BEGIN
    IF months > 0 THEN
        n := floor(((extract(year FROM t) - extract(year FROM a)) * 12
                    + extract(month FROM t) - extract(month FROM a)) / months);
        WHILE a + make_interval(months => ((n + 1) * months)::integer) <= t LOOP n := n + 1; END LOOP;
        WHILE a + make_interval(months => (n * months)::integer) > t LOOP n := n - 1; END LOOP;
        period_start := (a + make_interval(months => (n * months)::integer)) AT TIME ZONE 'UTC';
        period_end := (a + make_interval(months => ((n + 1) * months)::integer)) AT TIME ZONE 'UTC';
    ELSE
        n := floor(extract(epoch FROM t - a) / extract(epoch FROM span));
        period_start := (a + n * span) AT TIME ZONE 'UTC';
        period_end := (a + (n + 1) * span) AT TIME ZONE 'UTC';
    END IF;
END $$;

-- The billing period that usage of that minute belongs to: as Stripe told; else projected within a
-- subscription's life, the newest one's if several stand; else the calendar month, UTC, cut where a subscription
-- begins or ended. The same for every minute of a period.
-- stripe_subscription_id is NULL for a calendar month.
CREATE FUNCTION billing_period(p_tenant text, p_at timestamptz, OUT period_start timestamptz,
                               OUT period_end timestamptz, OUT stripe_subscription_id text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    m timestamptz := minute_of(p_at);
    s record;
    low timestamptz;
    high timestamptz;
BEGIN
    SELECT p.period_start, p.period_end, p.stripe_subscription_id
      INTO period_start, period_end, stripe_subscription_id
      FROM billing_periods p
     WHERE p.tenant = p_tenant AND p.period_start <= m
     ORDER BY p.period_start DESC LIMIT 1;
    IF FOUND AND m < period_end THEN
        RETURN;
    END IF;
    low := CASE WHEN FOUND THEN period_end END;
    high := (SELECT min(p.period_start) FROM billing_periods p
              WHERE p.tenant = p_tenant AND p.period_start > m);
    SELECT x.stripe_subscription_id AS id, x.billing_cycle_anchor AS anchor, x.billing_interval AS unit,
           x.interval_count AS count, x.started_at, minute_of(x.started_at) AS started, minute_of(x.ended_at) AS ended
      INTO s
      FROM subscriptions x
     WHERE x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired')
       AND minute_of(x.started_at) <= m AND (x.ended_at IS NULL OR m < minute_of(x.ended_at))
     ORDER BY x.started_at DESC, x.stripe_subscription_id DESC LIMIT 1;
    IF FOUND THEN
        stripe_subscription_id := s.id;
        -- Newer subscriptions come first while they last: none does at m.
        SELECT greatest(p.period_start, low, s.started, max(minute_of(x.ended_at)) FILTER (WHERE minute_of(x.ended_at) <= m)),
               least(p.period_end, high, s.ended, min(minute_of(x.started_at)) FILTER (WHERE minute_of(x.started_at) > m))
          INTO period_start, period_end
          FROM project_period(s.anchor, s.unit, s.count, m) p
          LEFT JOIN subscriptions x ON x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired')
           AND (x.started_at, x.stripe_subscription_id) > (s.started_at, s.id)
         GROUP BY p.period_start, p.period_end;
        RETURN;
    END IF;
    period_start := date_trunc('month', m AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    period_end := (date_trunc('month', m AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    stripe_subscription_id := NULL;
    SELECT greatest(low, max(minute_of(x.ended_at)) FILTER (WHERE minute_of(x.ended_at) <= m)),
           least(high, min(minute_of(x.started_at)) FILTER (WHERE minute_of(x.started_at) > m))
      INTO low, high
      FROM subscriptions x
     WHERE x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired');
    period_start := greatest(period_start, low);
    period_end := least(period_end, high);
END $$;

-- From when on Stripe bills usage to the period that begins with that minute: the cut edge's own second, and not before
-- the subscription. Usage of the minute that holds the edge would be of the invoice before. Anchor and start are those
-- of the period's subscription; NULL for a calendar month.
CREATE FUNCTION billed_from(p_period_start timestamptz, p_anchor timestamptz, p_started_at timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(p_period_start, p_started_at, p_period_start + (p_anchor - minute_of(p_anchor)));

-- The same, of the period that holds that minute; and what a subscription bills until its end is not billed to the
-- calendar month that begins with the minute of that end.
CREATE FUNCTION billed_since(p_tenant text, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN b.stripe_subscription_id IS NULL
                THEN coalesce((SELECT max(x.ended_at) FROM subscriptions x
                                WHERE x.tenant = p_tenant AND minute_of(x.ended_at) = b.period_start
                                  AND x.status NOT IN ('incomplete', 'incomplete_expired')), b.period_start)
                ELSE billed_from(b.period_start, s.billing_cycle_anchor, s.started_at) END
      FROM billing_period(p_tenant, p_at) b
      LEFT JOIN subscriptions s USING (stripe_subscription_id)
$$;

-- The period that a submission counts for: where its usage_at is billed, or its own if it was carried over.
CREATE FUNCTION submission_period(p_tenant text, p_usage_at timestamptz, p_period_start timestamptz,
                                  p_carried boolean, OUT period_start timestamptz, OUT period_end timestamptz)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT b.period_start, b.period_end INTO period_start, period_end
      FROM billing_period(p_tenant, CASE WHEN p_carried THEN p_period_start ELSE p_usage_at END) b;
    -- Only in the minute of its edge may Stripe's own edge lie behind it.
    IF NOT p_carried AND p_usage_at = period_start AND p_usage_at < billed_since(p_tenant, p_usage_at) THEN
        SELECT b.period_start, b.period_end INTO period_start, period_end
          FROM billing_period(p_tenant, period_start - interval '1 minute') b;
    END IF;
END $$;

-- Takes over what a tenant's subscriptions say of their current periods, and makes the totals exact
-- again where an edge moved, what is carried into later periods with them. Call it in the transaction that changed a subscription. fold_usage holds
-- the lock shared, so that nothing is added by old edges meanwhile; what is pending is added by the new ones. Claimers
-- end their page first, since what is claimed must be seen where it lies now: it is waited for before edges are held, so
-- that nobody who counts waits with us.
CREATE FUNCTION refresh_billing_periods(p_tenant text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    sub record;
    v bigint;
    stale_metrics text[];
    stale_starts timestamptz[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    PERFORM pg_advisory_xact_lock(hashtext('meterline periods'));
    FOR sub IN
        SELECT stripe_subscription_id AS id, minute_of(current_period_start) AS low,
               minute_of(least(current_period_end, ended_at)) AS high
          FROM subscriptions
         WHERE tenant = p_tenant AND status NOT IN ('incomplete', 'incomplete_expired')
         ORDER BY started_at, stripe_subscription_id
    LOOP
        UPDATE billing_periods SET period_end = sub.low
         WHERE tenant = p_tenant AND period_start < sub.low AND period_end > sub.low;
        DELETE FROM billing_periods
         WHERE tenant = p_tenant AND stripe_subscription_id = sub.id AND period_start >= sub.low;
        DELETE FROM billing_periods
         WHERE tenant = p_tenant AND period_start >= sub.low AND period_start < sub.high;
        IF sub.low < sub.high THEN
            INSERT INTO billing_periods (tenant, period_start, period_end, stripe_subscription_id)
            VALUES (p_tenant, sub.low, sub.high, sub.id);
        END IF;
    END LOOP;

    UPDATE ledger_state SET value = value + 1 WHERE name = 'periods_version' RETURNING value INTO v;
    INSERT INTO billing_period_changes (tenant, version) VALUES (p_tenant, v)
        ON CONFLICT (tenant) DO UPDATE SET version = excluded.version;

    SELECT array_agg(o.metric), array_agg(o.period_start) INTO stale_metrics, stale_starts
      FROM usage_totals o, billing_period(p_tenant, o.period_start) b
     WHERE o.tenant = p_tenant
       AND (b.period_start, b.period_end) IS DISTINCT FROM (o.period_start, o.period_end);
    -- Above all that there were: what is made anew may have been claimed by another version.
    v := greatest(nextval('usage_version'), 1 + (SELECT max(t.version) FROM usage_totals t WHERE t.tenant = p_tenant));

    WITH stale AS (
        DELETE FROM usage_totals t
         USING unnest(stale_metrics, stale_starts) x (metric, period_start)
         WHERE t.tenant = p_tenant AND t.metric = x.metric AND t.period_start = x.period_start
        RETURNING t.metric, t.period_start, t.period_end
    ), forgotten AS (
        DELETE FROM usage_uniques u
         USING stale s
         WHERE u.tenant = p_tenant AND u.metric = s.metric AND u.period_start = s.period_start
        RETURNING u.metric
    ), minutes AS (
        SELECT a.metric, a.dimensions, b.period_start, b.period_end, a.events, a.quantity_sum, a.quantity_max,
               a.quantity_last, a.last_ms, a.last_entry
          FROM stale s
          JOIN usage_aggregates a ON a.tenant = p_tenant AND a.metric = s.metric
           AND a.minute_at >= s.period_start AND a.minute_at < s.period_end
         CROSS JOIN LATERAL billing_period(p_tenant, a.minute_at) b
    ), uniques AS (
        INSERT INTO usage_uniques (tenant, metric, period_start, dimensions, events)
        SELECT p_tenant, n.metric, n.period_start, n.dimensions, sum(n.events)
          FROM minutes n JOIN metrics m USING (metric)
         -- Counted, so that they are gone before the same ones are added.
         WHERE m.aggregation = 'unique' AND (SELECT count(*) FROM forgotten) >= 0
         GROUP BY n.metric, n.period_start, n.dimensions
    )
    INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
    SELECT p_tenant, m.metric, n.period_start, n.period_end,
           CASE m.aggregation
               WHEN 'sum' THEN sum(n.quantity_sum)
               WHEN 'count' THEN sum(n.events)
               WHEN 'max' THEN max(n.quantity_max)
               WHEN 'unique' THEN count(DISTINCT n.dimensions)
               ELSE (array_agg(n.quantity_last ORDER BY n.last_ms DESC, n.last_entry DESC))[1]
           END,
           v, max(n.last_ms),
           (array_agg(n.last_entry ORDER BY n.last_ms DESC, n.last_entry DESC))[1]
      FROM minutes n JOIN metrics m USING (metric)
     GROUP BY m.metric, m.aggregation, n.period_start, n.period_end;

    IF stale_metrics IS NOT NULL THEN
        PERFORM carry_totals(array_fill(p_tenant, ARRAY[cardinality(stale_metrics)]), stale_metrics, stale_starts, v);
    END IF;

    -- What was claimed where now nothing is left to bill must be taken back: the sink reads totals. What lies
    -- behind the first minute of a total is surely of it, and not looked at any closer.
    INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
    SELECT p_tenant, u.metric, b.period_start, b.period_end, 0, v, (-9223372036854775808), ''
      FROM (SELECT DISTINCT s.metric, s.usage_at, s.period_start, s.carried
              FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.state <> 'void'
               AND NOT EXISTS (SELECT FROM usage_totals t
                                WHERE t.tenant = p_tenant AND t.metric = s.metric AND NOT s.carried
                                  AND t.period_start < s.usage_at AND s.usage_at < t.period_end)) u
     CROSS JOIN LATERAL submission_period(p_tenant, u.usage_at, u.period_start, u.carried) b
    ON CONFLICT (tenant, metric, period_start) DO NOTHING;
END $$;

CREATE TABLE webhook_events (
    event_id        text PRIMARY KEY,
    type            text NOT NULL,
    state           text NOT NULL DEFAULT 'received'
        CHECK (state IN ('received', 'processed', 'ignored', 'failed')),
    object_id       text,                    -- of data.object
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
    stripe_invoice_id      text PRIMARY KEY,
    tenant                 text NOT NULL,
    stripe_customer_id     text NOT NULL,
    stripe_subscription_id text,
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
    stripe_payment_id text PRIMARY KEY,
    tenant            text NOT NULL,
    stripe_invoice_id text,
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
    tenant      text NOT NULL,
    kind        text NOT NULL,               -- such as subscription_updated
    object_id   text,
    event_id    text,
    detail      jsonb NOT NULL DEFAULT '{}',
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX billing_history_tenant ON billing_history (tenant, recorded_at);
