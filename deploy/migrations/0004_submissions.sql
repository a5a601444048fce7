-- What was claimed for Stripe, sent and settled. Written by the sink.

CREATE TABLE usage_submissions (
    identifier         text PRIMARY KEY,      -- also the Idempotency-Key, see spent_keys
    tenant             text NOT NULL,
    metric             text NOT NULL,
    transport          text NOT NULL,
    stripe_customer_id text NOT NULL,
    event_name         text NOT NULL,
    period_start       timestamptz NOT NULL,
    claim              integer NOT NULL,      -- numbers the claims of a (tenant, metric, period) from 1; the
                                              -- identifier is made of it, and keeps it unique
    usage_at           timestamptz NOT NULL,
    quantity           numeric(38,9) NOT NULL,
    body               text NOT NULL,         -- the exact bytes of every try
    state              text NOT NULL DEFAULT 'pending' CHECK (state IN
        ('pending', 'sending', 'sent', 'held', 'failed', 'in_doubt', 'void', 'late')),
    attempts           integer NOT NULL DEFAULT 0,
    next_attempt_at    timestamptz NOT NULL DEFAULT now(),
    last_error         text,
    request_id         text,                  -- Stripe's, of the last answer
    owner              text,                  -- the sink that is sending it
    lease_until        timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    first_sent_at      timestamptz,
    last_sent_at       timestamptz,
    sent_at            timestamptz,
    stripe_subscription_item_id text,         -- of transport usage_records: what its usage is added to
    -- Counts for the period of period_start although usage_at lies in a later one: a person had it carried over.
    carried            boolean NOT NULL DEFAULT false,
    decision           text CHECK (decision IN ('carry', 'drop')),   -- what a person made of a late one
    decided_at         timestamptz,
    -- Of one in doubt: what Stripe held of its minute, and when that was read first. The second reading decides. Of one
    -- that failed so: what Stripe holds or may hold of it.
    doubt_quantity     numeric(38,9),
    doubt_read_at      timestamptz,
    -- Stripe knew its identifier or key before our first try of these bytes: from a life of this database that was lost.
    known_before       boolean NOT NULL DEFAULT false,
    -- Stripe took it, and told of its refusal while a call of it was in flight: it fails when that call has ended, so
    -- that its lane stays taken until then.
    refused_later      text,
    -- Under so many of its keys Stripe has stored a refusal that may pass, and would give it again until it forgets the
    -- key: the next try has the key of this number (see common/identifier.h).
    spent_keys         integer NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
-- Each submission is written three times (claimed, picked, settled), with an entry in nearly every index each time:
-- so there are few, and what asks for a period goes by usage_at, which never lies before it.
-- A lane (customer and event_name) has one call in flight; a crashed sink's call keeps the lane until its lease has
-- passed. What is open of a lane stands in the order of its turn, the call in flight first, so that the first entry
-- tells all. What is open is few rows among many, as far as statistics know: they may have been gathered while nothing
-- was open, and then each index seems to hold one row. So no two of them serve the question of a lane's next one.
CREATE UNIQUE INDEX usage_submissions_open ON usage_submissions
    (stripe_customer_id, event_name, (CASE state WHEN 'sending' THEN timestamptz '-infinity' ELSE usage_at END))
    WHERE state IN ('pending', 'sending');
-- Calls whose sink died, without a look at all that waits.
CREATE INDEX usage_submissions_leases ON usage_submissions (lease_until) WHERE state = 'sending';
CREATE UNIQUE INDEX usage_submissions_minute ON usage_submissions (stripe_customer_id, event_name, usage_at)
    WHERE state <> 'void';
-- What waits for something else than its turn: few, so that claims and counts find them at once.
CREATE INDEX usage_submissions_stuck ON usage_submissions (state, tenant, metric)
    WHERE state IN ('held', 'failed', 'in_doubt', 'late');
CREATE INDEX usage_submissions_carried ON usage_submissions (tenant, metric, period_start) WHERE carried;
-- What was sent at a time, of all tenants: asked when Stripe reports errors.
CREATE INDEX usage_submissions_sent ON usage_submissions USING brin (last_sent_at) WITH (autosummarize = on);
CREATE INDEX usage_submissions_usage ON usage_submissions (tenant, metric, usage_at);

-- Event names by which nothing is sent, since Stripe's meter of that name is missing, archived, or counts otherwise.
CREATE TABLE meter_holds (
    event_name text PRIMARY KEY,
    metric     text NOT NULL,
    why        text NOT NULL,
    since      timestamptz NOT NULL DEFAULT now()
);

-- While sinks are held after a restore: whom `meterctl restore accept` has to compare with Stripe, and since when sinks
-- go on with those that it has.
CREATE TABLE restore_checks (
    tenant     text PRIMARY KEY,
    hold       bigint NOT NULL,               -- the sink_hold that it is made for: of another one it says nothing
    owner      uuid NOT NULL,                 -- the newest `restore accept`
    checked_at timestamptz
);

CREATE FUNCTION is_released(p_tenant text, p_hold bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM restore_checks WHERE tenant = p_tenant AND hold = p_hold AND checked_at IS NOT NULL)
$$;

-- When PostgreSQL was last found to have lost commits, or may have: until then another life of this ledger may have sent
-- anything, also for customers and by event names that this one does not know yet.
CREATE TABLE ledger_restore (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    restored_at  timestamptz,                 -- NULL: never
    held_from    timestamptz,                 -- since when what was not compared is not claimed
    final_before timestamptz                  -- an invoice that was final by then was so in the backup; NULL: none is known
);
INSERT INTO ledger_restore DEFAULT VALUES;

-- Usage of a period that began before is claimed only where it was compared with Stripe since; NULL: any.
CREATE FUNCTION proof_needed_before() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT restored_at FROM ledger_restore WHERE held_from <= now()
$$;

-- What was compared with Stripe since then, and agreed: the minutes of a customer's meter, or subscription item.
CREATE TABLE restore_proofs (
    stripe_customer_id text NOT NULL,
    place              text NOT NULL,         -- the event name; of usage records the subscription item
    from_at            timestamptz NOT NULL,
    until_at           timestamptz NOT NULL,
    proven_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stripe_customer_id, place, from_at, until_at)
);

-- Is all known that Stripe holds of a place in a period? It is where the period began after the restore, and where all of
-- it until then was compared, by whatever edges. What ended 35 days ago Stripe takes nothing for.
CREATE FUNCTION is_place_proven(p_customer text, p_place text, p_start timestamptz, p_end timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.restored_at IS NULL OR p_start >= r.restored_at OR p_end <= now() - interval '35 days'
           OR coalesce((SELECT range_agg(tstzrange(p.from_at, p.until_at)) @> tstzrange(p_start, least(p_end, r.restored_at))
                          FROM restore_proofs p
                         WHERE p.stripe_customer_id = p_customer AND p.place = p_place), false)
      FROM ledger_restore r
$$;

-- May a metric's usage in a period be claimed, by what is known since a restore? By the catalog and the items of today:
-- where these change, that is another place. A period whose invoice was final in the backup got nothing since.
CREATE FUNCTION is_proven(p_tenant text, p_metric text, p_customer text, p_start timestamptz, p_end timestamptz)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT FROM ledger_restore r
          JOIN metrics m ON m.metric = p_metric AND m.transport <> 'none'
          LEFT JOIN billing_period(p_tenant, p_start) b ON true
          LEFT JOIN subscription_items i ON m.transport = 'usage_records' AND i.metric = m.metric
                                        AND i.stripe_subscription_id = b.stripe_subscription_id
         WHERE p_start < r.restored_at AND (m.transport <> 'usage_records' OR i.stripe_subscription_item_id IS NOT NULL)
           AND NOT is_place_proven(p_customer, coalesce(i.stripe_subscription_item_id, m.stripe_event_name), p_start, p_end)
           AND NOT EXISTS (SELECT FROM invoices v
                            WHERE v.tenant = p_tenant AND v.stripe_subscription_id = b.stripe_subscription_id
                              AND v.finalized_at < r.final_before AND v.status <> 'void'
                              AND v.period_start < v.period_end AND minute_of(v.period_end) = p_end))
$$;

-- How much of each total its submissions hold. A total is dirty if its version is newer than this one's.
CREATE TABLE usage_claims (
    tenant       text NOT NULL,
    metric       text NOT NULL,
    period_start timestamptz NOT NULL,
    version      bigint NOT NULL,             -- of the total when it was last claimed
    claimed      numeric(38,9) NOT NULL,      -- sum of submissions that are not void; of max, last, unique: the newest
    claims       integer NOT NULL,            -- the number of the last claim
    first_at     timestamptz,                 -- least and greatest usage_at used, by void ones too: Stripe may be asked
                                              -- what it holds of their minutes
    last_at      timestamptz,
    -- billing_period_changes.version when claimed was last summed up: what was claimed in a period is what
    -- its submissions hold (see submission_period), so a moved edge means to sum them up again.
    periods_version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, metric, period_start)
) WITH (fillfactor = 80);

-- What the submissions of one period hold, void ones left out.
CREATE TYPE submission_sums AS (
    claimed     numeric,       -- without what is held
    held        numeric,       -- NULL where nothing is held
    identifiers text[],        -- of those held
    first_at    timestamptz,   -- least and greatest usage_at in the period, those of void and carried ones too
    last_at     timestamptz
);

-- Values that replace each other (max, last, unique) are not added up: it is the newest one, of the customer and meter
-- given if any. The minute that holds an edge is looked at closer, since Stripe's edge may lie inside of it: submissions
-- of it count for the period before.
CREATE FUNCTION sum_submissions(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz,
                                p_customer text DEFAULT NULL, p_event_name text DEFAULT NULL) RETURNS submission_sums
LANGUAGE plpgsql STABLE AS $$
DECLARE
    additive boolean := (SELECT m.aggregation IN ('sum', 'count') FROM metrics m WHERE m.metric = p_metric);
    replaced_at timestamptz;
    edges timestamptz[] := ARRAY[p_start, p_end];
    sums submission_sums;
BEGIN
    FOR i IN 1..2 LOOP
        IF EXISTS (SELECT FROM usage_submissions s
                    WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.usage_at = edges[i]) THEN
            edges[i] := billed_since(p_tenant, edges[i]);
        END IF;
    END LOOP;
    SELECT CASE WHEN additive THEN sum(u.quantity) FILTER (WHERE u.state <> 'held')
                ELSE (array_agg(u.quantity ORDER BY u.usage_at DESC)
                         FILTER (WHERE u.state <> 'held'
                                   AND u.stripe_customer_id = coalesce(p_customer, u.stripe_customer_id)
                                   AND u.event_name = coalesce(p_event_name, u.event_name)))[1] END,
           CASE WHEN additive THEN sum(u.quantity) FILTER (WHERE u.state = 'held')
                ELSE (array_agg(u.quantity ORDER BY u.usage_at DESC) FILTER (WHERE u.state = 'held'))[1] END,
           array_agg(u.identifier) FILTER (WHERE u.state = 'held')
      INTO sums.claimed, sums.held, sums.identifiers
      FROM (SELECT s.* FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.usage_at >= edges[1] AND s.usage_at < edges[2]
               AND NOT s.carried
             UNION ALL
            SELECT s.* FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.period_start >= p_start AND s.period_start < p_end
               AND s.carried) u
     WHERE u.state <> 'void';
    sums.claimed := coalesce(sums.claimed, 0);
    SELECT min(s.usage_at), max(s.usage_at) INTO sums.first_at, sums.last_at
      FROM usage_submissions s
     WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.usage_at >= edges[1] AND s.usage_at < edges[2];
    IF NOT additive AND p_customer IS NOT NULL THEN
        -- Another tenant that had the customer meanwhile may have set its meter: then nothing of ours is there any more.
        SELECT max(s.usage_at) INTO replaced_at
          FROM usage_submissions s
         WHERE s.stripe_customer_id = p_customer AND s.event_name = p_event_name AND s.state <> 'void'
           AND (s.tenant, s.metric) <> (p_tenant, p_metric) AND s.usage_at >= edges[1] AND s.usage_at < edges[2];
        IF replaced_at > coalesce((SELECT max(s.usage_at) FROM usage_submissions s
                                    WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.state NOT IN ('void', 'held')
                                      AND s.stripe_customer_id = p_customer AND s.event_name = p_event_name
                                      AND s.usage_at < edges[2]), '-infinity') THEN
            sums.claimed := 0;
        END IF;
        sums.last_at := greatest(sums.last_at, replaced_at);
    END IF;
    RETURN sums;
END $$;

-- A period's last minute if a customer's meter has not used it, else the latest free one before one that it has; NULL:
-- none.
CREATE FUNCTION free_minute(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz, p_customer text,
                            p_event_name text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT u.before - interval '1 minute'
      FROM (SELECT p_end AS before
             UNION ALL
            SELECT usage_at FROM usage_submissions
             WHERE stripe_customer_id = p_customer AND event_name = p_event_name AND state <> 'void'
               AND usage_at > p_start AND usage_at < p_end) u
     WHERE NOT EXISTS (SELECT FROM usage_submissions o
                        WHERE o.stripe_customer_id = p_customer AND o.event_name = p_event_name
                          AND o.usage_at = u.before - interval '1 minute' AND o.state <> 'void')
       AND NOT EXISTS (SELECT FROM usage_submissions o
                        WHERE o.tenant = p_tenant AND o.metric = p_metric
                          AND o.usage_at = u.before - interval '1 minute')
     ORDER BY u.before DESC LIMIT 1
$$;

-- A customer's meter that holds units of a period.
CREATE TYPE meter_place AS (
    customer   text,
    event_name text,
    units      numeric
);

-- Where so many units of a period are to be subtracted: Stripe bills no meter below zero, so that it is one that holds
-- units of them. Those of today if they hold enough, else what held them before the tenant got another customer, or the
-- metric another meter or transport; of several that hold too little, the fullest. NULL: none. What may yet be sent
-- counts, what Stripe refused or may not have taken does not. Records on a subscription's item take nothing back, and
-- neither does a customer that was deleted.
CREATE FUNCTION subtract_place(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz, p_customer text,
                               p_event_name text, p_units numeric) RETURNS meter_place
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT row(u.customer, u.event_name, u.units)::meter_place
      FROM (SELECT s.stripe_customer_id AS customer, s.event_name,
                   coalesce(sum(s.quantity) FILTER (WHERE s.state IN ('pending', 'sending', 'sent')), 0)
                   + coalesce(sum(s.quantity) FILTER (WHERE s.state = 'in_doubt' AND s.quantity < 0), 0) AS units
              FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.stripe_subscription_item_id IS NULL
               AND s.usage_at >= billed_since(p_tenant, p_start) AND s.usage_at < billed_since(p_tenant, p_end)
             GROUP BY s.stripe_customer_id, s.event_name) u
     WHERE u.units > 0
       AND NOT EXISTS (SELECT FROM billing_customers b
                        WHERE b.stripe_customer_id = u.customer AND b.deleted_at IS NOT NULL)
       AND NOT EXISTS (SELECT FROM billing_history h
                        WHERE h.tenant = p_tenant AND h.detail ->> 'customer' = u.customer
                          AND h.detail -> 'deleted' = 'true')
     ORDER BY u.units >= p_units DESC, (u.customer, u.event_name) = (p_customer, p_event_name) DESC, u.units DESC,
              u.customer, u.event_name
     LIMIT 1
$$;

-- A submission that Stripe surely does not hold becomes void, and its quantity is claimed anew: its claim is summed up
-- once more by the next claimer, under a new number and in another minute. Claimers wait meanwhile, or one that has
-- read the claim already would write back what it was. Returns whether it was in one of the states given.
CREATE FUNCTION void_submission(p_identifier text, p_states text[], p_why text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    s usage_submissions;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    UPDATE usage_submissions
       SET state = 'void', last_error = p_why, owner = NULL, lease_until = NULL
     WHERE identifier = p_identifier AND state = ANY (p_states)
    RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE usage_claims SET version = -1, periods_version = -1 WHERE tenant = s.tenant AND metric = s.metric;
    -- Until then it waits, visibly.
    UPDATE usage_claims c
       SET claimed = CASE WHEN m.aggregation IN ('sum', 'count') THEN c.claimed - s.quantity
                          ELSE (SELECT coalesce(h.held, h.claimed)
                                  FROM sum_submissions(s.tenant, s.metric, p.period_start, p.period_end) h) END
      FROM metrics m, submission_period(s.tenant, s.usage_at, s.period_start, s.carried) p
     WHERE m.metric = s.metric AND c.tenant = s.tenant AND c.metric = s.metric AND c.period_start = p.period_start;
    RETURN true;
END $$;

-- Has or had the tenant a subscription?
CREATE FUNCTION is_subscriber(p_tenant text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM subscriptions x
                    WHERE x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired'))
$$;

-- Is the invoice of a period, of which that is the end, one that changes no more?
CREATE FUNCTION has_final_invoice(p_tenant text, p_subscription text, p_period_end timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM invoices i
                    WHERE i.tenant = p_tenant AND i.stripe_subscription_id = p_subscription
                      AND i.finalized_at IS NOT NULL AND i.status <> 'void'
                      AND i.period_start < i.period_end AND minute_of(i.period_end) = p_period_end)
$$;

-- Why usage of that minute comes too late for its invoice, or NULL. Stripe refuses meter events older than 35 days, and
-- bills none for a period whose invoice is final; where a transport ends with the period it takes none from then on. An
-- invoice becomes final about an hour after its period, so that younger usage is not looked at further.
CREATE FUNCTION why_late(p_tenant text, p_at timestamptz, p_ends_with_period boolean) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    p record;
BEGIN
    IF p_at < now() - interval '34 days' THEN
        RETURN 'its usage is older than 34 days';
    END IF;
    IF NOT p_ends_with_period AND p_at > now() - interval '1 hour' THEN
        RETURN NULL;
    END IF;
    SELECT * INTO p FROM billing_period(p_tenant, p_at);
    IF p.period_end > now() THEN
        RETURN NULL;
    END IF;
    IF p_ends_with_period THEN
        RETURN 'its billing period is over';
    END IF;
    IF has_final_invoice(p_tenant, p.stripe_subscription_id, p.period_end) THEN
        RETURN 'the invoice of its billing period is final';
    END IF;
    RETURN NULL;
END $$;

-- Values that replace each other are claimed again where they are billed from now on: a customer or a meter that took
-- the place of another one holds none of them. What adds up goes on there, and stays where it was claimed.
CREATE FUNCTION reclaim_values() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named text[] := CASE TG_TABLE_NAME WHEN 'metrics' THEN ARRAY[to_jsonb(NEW) ->> 'metric']
                         ELSE (SELECT array_agg(metric) FROM metrics WHERE aggregation NOT IN ('sum', 'count')) END;
    concerned text[] := CASE TG_TABLE_NAME WHEN 'metrics' THEN (SELECT array_agg(tenant) FROM billing_customers)
                             ELSE ARRAY[to_jsonb(NEW) ->> 'tenant'] END;
BEGIN
    IF TG_TABLE_NAME = 'metrics' AND to_jsonb(NEW) ->> 'aggregation' IN ('sum', 'count') THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    UPDATE usage_claims c SET version = -1, periods_version = -1
      FROM usage_totals t
     WHERE t.tenant = ANY (concerned) AND t.metric = ANY (named) AND t.period_end > now()
       AND c.tenant = t.tenant AND c.metric = t.metric AND c.period_start = t.period_start;
    RETURN NULL;
END $$;
CREATE TRIGGER customer_changed AFTER UPDATE ON billing_customers FOR EACH ROW
    WHEN (OLD.stripe_customer_id <> NEW.stripe_customer_id) EXECUTE FUNCTION reclaim_values();
CREATE TRIGGER meter_changed AFTER UPDATE ON metrics FOR EACH ROW
    WHEN ((OLD.stripe_event_name, OLD.transport) IS DISTINCT FROM (NEW.stripe_event_name, NEW.transport))
    EXECUTE FUNCTION reclaim_values();

-- What others ask of the sink: to claim a tenant's usage at once, since an invoice of it was begun, or to compare it
-- with Stripe. A request goes when it was done, unless it was made again meanwhile.
CREATE TABLE sink_requests (
    tenant       text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('settle', 'reconcile')),
    requested_at timestamptz NOT NULL,       -- from when on it may be done
    taken_at     timestamptz,                -- when a sink began to do it
    since        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind)
);
-- p_wait: not before that time has passed. Who asks again and again does not put it off for more than an hour.
CREATE FUNCTION request_sink(p_tenant text, p_kind text, p_wait interval DEFAULT '0') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO sink_requests AS r (tenant, kind, requested_at) VALUES (p_tenant, p_kind, now() + p_wait)
    ON CONFLICT (tenant, kind) DO UPDATE
       SET requested_at = greatest(now(), least(now() + p_wait, r.since + interval '1 hour'))
$$;

-- What sinks do not claim, since nobody knows whether it was sent before the restore: a customer or an event name that
-- the backup did not know, or that Stripe did not tell of. Sinks compare it; where Stripe holds something,
-- `meterctl restore accept` takes it over. While all are held, that alone is told.
CREATE VIEW restore_unproven WITH (security_invoker = true) AS
WITH since AS MATERIALIZED (
    SELECT r.restored_at, r.held_from <= now() AS is_held FROM ledger_restore r, ledger_state s
     WHERE r.restored_at IS NOT NULL AND s.name = 'sink_hold' AND s.value = 0
)
SELECT t.tenant, t.metric, t.period_start, t.period_end, b.stripe_customer_id,
       CASE WHEN m.aggregation IN ('sum', 'count') THEN floor(t.quantity) - coalesce(c.claimed, 0)
            ELSE floor(t.quantity) END AS units,
       (SELECT is_held FROM since) AS is_held   -- else it will be
  FROM usage_totals t
  JOIN metrics m ON m.metric = t.metric AND m.transport <> 'none'
  JOIN billing_customers b ON b.tenant = t.tenant AND b.deleted_at IS NULL
  LEFT JOIN usage_claims c ON c.tenant = t.tenant AND c.metric = t.metric AND c.period_start = t.period_start
 WHERE (SELECT restored_at FROM since) IS NOT NULL   -- else nothing is read
   AND t.period_start < (SELECT restored_at FROM since) AND t.period_end > now() - interval '35 days'
   AND t.version > coalesce(c.version, -1)
   AND NOT is_proven(t.tenant, t.metric, b.stripe_customer_id, t.period_start, t.period_end)
UNION ALL
SELECT u.tenant, u.metric, p.period_start, p.period_end, b.stripe_customer_id, 0, (SELECT is_held FROM since)
  FROM usage_submissions u
  JOIN billing_customers b ON b.tenant = u.tenant AND b.deleted_at IS NULL
 CROSS JOIN LATERAL billing_period(u.tenant, now()) p
 WHERE (SELECT restored_at FROM since) IS NOT NULL AND u.state = 'late' AND u.decision = 'carry'
   AND NOT is_proven(u.tenant, u.metric, b.stripe_customer_id, p.period_start, p.period_end);

-- What is counted and not in a submission, with why. not_compared: see restore_unproven. too_large: Stripe takes 15
-- digits; sums are claimed in parts, but a part of a value that replaces others would be another value.
CREATE VIEW usage_unbilled WITH (security_invoker = true) AS
WITH open AS (
    SELECT t.tenant, t.metric, t.period_start, t.period_end, t.quantity,
           t.quantity - CASE WHEN m.aggregation IN ('sum', 'count') THEN coalesce(c.claimed, 0) ELSE 0 END AS rest,
           m.aggregation IN ('sum', 'count') AS additive, coalesce(c.claimed, 0) AS claimed,
           CASE WHEN m.transport = 'none' THEN 'not_billed'
                WHEN b.tenant IS NULL OR b.deleted_at IS NOT NULL THEN 'unmapped'
                WHEN p.stripe_subscription_id IS NULL AND EXISTS (
                     SELECT FROM subscriptions s WHERE s.tenant = t.tenant
                        AND s.status NOT IN ('incomplete', 'incomplete_expired')) THEN 'before_subscription'
                WHEN m.transport = 'usage_records' AND NOT EXISTS (
                     SELECT FROM subscription_items i
                      WHERE i.stripe_subscription_id = p.stripe_subscription_id AND i.metric = t.metric)
                     THEN 'unmapped'
                WHEN t.period_start < (SELECT proof_needed_before())
                     AND (SELECT value FROM ledger_state WHERE name = 'sink_hold') = 0
                     AND NOT is_proven(t.tenant, t.metric, b.stripe_customer_id, t.period_start, t.period_end)
                     THEN 'not_compared'
                WHEN m.aggregation NOT IN ('sum', 'count') AND abs(floor(t.quantity)) > 999999999999999
                     THEN 'too_large'
           END AS obstacle
      FROM usage_totals t
      JOIN metrics m USING (metric)
      LEFT JOIN usage_claims c USING (tenant, metric, period_start)
      LEFT JOIN billing_customers b ON b.tenant = t.tenant
     CROSS JOIN LATERAL billing_period(t.tenant, t.period_start) p
     WHERE c.claimed IS DISTINCT FROM t.quantity
)
SELECT tenant, metric, period_start, period_end, rest AS quantity, obstacle AS reason
  FROM open WHERE obstacle IS NOT NULL AND rest <> 0
UNION ALL
SELECT tenant, metric, period_start, period_end,
       CASE WHEN additive THEN floor(quantity) - claimed ELSE floor(quantity) END, 'waiting'
  FROM open WHERE obstacle IS NULL AND floor(quantity) <> claimed
UNION ALL
-- What is below one is carried to the next claim while the period lasts, and rounded down once it is over.
SELECT tenant, metric, period_start, period_end, quantity - floor(quantity),
       CASE WHEN period_end > now() THEN 'carried' ELSE 'rounded' END
  FROM open WHERE obstacle IS NULL AND quantity <> floor(quantity);
