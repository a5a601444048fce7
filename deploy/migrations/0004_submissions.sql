-- What was claimed for Stripe, sent and settled. Written by the sink.

CREATE TABLE usage_submissions (
    identifier         text COLLATE "C" PRIMARY KEY, -- also the Idempotency-Key, see spent_keys
    tenant             text COLLATE "C" NOT NULL,
    metric             text COLLATE "C" NOT NULL,
    transport          text NOT NULL,
    stripe_customer_id text COLLATE "C" NOT NULL,
    event_name         text COLLATE "C" NOT NULL,
    period_start       timestamptz NOT NULL,
    claim              integer NOT NULL,      -- numbers the claims of a (tenant, metric, period) from 1; the
                                              -- identifier is made of it, and keeps it unique
    usage_at           timestamptz NOT NULL,
    quantity           numeric(38,9) NOT NULL,
    body               text NOT NULL,         -- the exact bytes of every try
    state              text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN
        ('pending', 'sending', 'sent', 'held', 'failed', 'in_doubt', 'void', 'late')),
    attempts           integer NOT NULL DEFAULT 0,
    next_attempt_at    timestamptz NOT NULL DEFAULT now(),
    last_error         text,
    request_id         text,                  -- Stripe's, of the last answer
    owner              text COLLATE "C",      -- the sink that is sending it
    lease_until        timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    first_sent_at      timestamptz,
    last_sent_at       timestamptz,
    sent_at            timestamptz,
    stripe_subscription_item_id text COLLATE "C", -- of transport usage_records: what its usage is added to
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
    event_name text COLLATE "C" PRIMARY KEY,
    metric     text COLLATE "C" NOT NULL,
    why        text NOT NULL,
    since      timestamptz NOT NULL DEFAULT now()
);

-- While sinks are held after a restore: whom `meterctl restore accept` has to compare with Stripe, and since when sinks
-- go on with those that it has.
CREATE TABLE restore_checks (
    tenant     text COLLATE "C" PRIMARY KEY,
    hold       bigint NOT NULL,               -- the sink_hold that it is made for: of another one it says nothing
    owner      uuid NOT NULL,                 -- the newest `restore accept`
    checked_at timestamptz
);

-- When PostgreSQL was found to have lost commits, or may have: until then another life of this ledger may have sent
-- anything, also for customers and by event names that this one does not know yet. A row each, until a later one holds all
-- that it does.
CREATE TABLE ledger_restores (
    restored_at  timestamptz PRIMARY KEY,
    held_from    timestamptz NOT NULL,        -- since when what was not compared is not claimed
    final_before timestamptz                  -- an invoice that was final by then was so in the backup; NULL: none is known
);

-- What was compared with Stripe since then, and agreed: the minutes of a customer's meter, or subscription item.
CREATE TABLE restore_proofs (
    stripe_customer_id text COLLATE "C" NOT NULL,
    place              text COLLATE "C" NOT NULL, -- the event name; of usage records the subscription item
    from_at            timestamptz NOT NULL,
    until_at           timestamptz NOT NULL,
    proven_for         timestamptz NOT NULL,  -- the newest restore since which it was
    proven_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stripe_customer_id, place, from_at, until_at)
);

-- How much of each total its submissions hold. A total is dirty if its version is newer than this one's.
CREATE TABLE usage_claims (
    tenant       text COLLATE "C" NOT NULL,
    metric       text COLLATE "C" NOT NULL,
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
    identifiers text[] COLLATE "C", -- of those held
    first_at    timestamptz,   -- least and greatest usage_at in the period, those of void and carried ones too
    last_at     timestamptz
);

-- A customer's meter that holds units of a period.
CREATE TYPE meter_place AS (
    customer   text COLLATE "C",
    event_name text COLLATE "C",
    units      numeric
);

-- Declared for the triggers and views below; what they do is in deploy/functions.
CREATE FUNCTION reclaim_values() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE FUNCTION billing_period(p_tenant text, p_at timestamptz, OUT period_start timestamptz, OUT period_end timestamptz,
                               OUT stripe_subscription_id text)
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE FUNCTION restored_last() RETURNS timestamptz
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE FUNCTION proof_needed_before() RETURNS timestamptz
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE FUNCTION is_proven(p_tenant text, p_metric text, p_customer text, p_start timestamptz, p_end timestamptz,
                          p_restored timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;

CREATE TRIGGER customer_changed AFTER UPDATE ON billing_customers FOR EACH ROW
    WHEN (OLD.stripe_customer_id <> NEW.stripe_customer_id) EXECUTE FUNCTION reclaim_values();
CREATE TRIGGER meter_changed AFTER UPDATE ON metrics FOR EACH ROW
    WHEN ((OLD.stripe_event_name, OLD.transport) IS DISTINCT FROM (NEW.stripe_event_name, NEW.transport))
    EXECUTE FUNCTION reclaim_values();

-- What others ask of the sink: to claim a tenant's usage at once, since an invoice of it was begun, or to compare it
-- with Stripe. A request goes when it was done, unless it was made again meanwhile.
CREATE TABLE sink_requests (
    tenant       text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL CHECK (kind IN ('settle', 'reconcile')),
    requested_at timestamptz NOT NULL,       -- from when on it may be done
    taken_at     timestamptz,                -- when a sink began to do it
    since        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind)
);

-- What sinks do not claim, since nobody knows whether it was sent before the restore: a customer or an event name that
-- the backup did not know, or that Stripe did not tell of. Sinks compare it; where Stripe holds something,
-- `meterctl restore accept` takes it over. While all are held, that alone is told.
CREATE VIEW restore_unproven WITH (security_invoker = true) AS
WITH since AS MATERIALIZED (
    SELECT restored_last() AS restored_at, proof_needed_before() AS held_before FROM ledger_state
     WHERE name = 'sink_hold' AND value = 0
), held AS MATERIALIZED (                     -- once for all: what is not proven since the newest one may be since another
    SELECT held_before, held_before = restored_at AS is_same FROM since
)
SELECT t.tenant, t.metric, t.period_start, t.period_end, b.stripe_customer_id,
       CASE WHEN m.aggregation IN ('sum', 'count') THEN floor(t.quantity) - coalesce(c.claimed, 0)
            ELSE floor(t.quantity) END AS units,
       CASE WHEN (SELECT is_same FROM held) IS NOT FALSE THEN (SELECT held_before FROM held) IS NOT NULL
            ELSE NOT is_proven(t.tenant, t.metric, b.stripe_customer_id, t.period_start, t.period_end,
                               (SELECT held_before FROM held)) END AS is_held   -- else it will be
  FROM usage_totals t
  JOIN metrics m ON m.metric = t.metric AND m.transport <> 'none'
  JOIN billing_customers b ON b.tenant = t.tenant AND b.deleted_at IS NULL
  LEFT JOIN usage_claims c ON c.tenant = t.tenant AND c.metric = t.metric AND c.period_start = t.period_start
 WHERE (SELECT restored_at FROM since) IS NOT NULL   -- else nothing is read
   AND t.period_start < (SELECT restored_at FROM since) AND t.period_end > now() - interval '35 days'
   AND CASE WHEN t.version > coalesce(c.version, -1)   -- only of what is left it is asked
            THEN NOT is_proven(t.tenant, t.metric, b.stripe_customer_id, t.period_start, t.period_end,
                               (SELECT restored_at FROM since)) ELSE false END
UNION ALL
SELECT u.tenant, u.metric, p.period_start, p.period_end, b.stripe_customer_id, 0,
       CASE WHEN (SELECT is_same FROM held) IS NOT FALSE THEN (SELECT held_before FROM held) IS NOT NULL
            ELSE NOT is_proven(u.tenant, u.metric, b.stripe_customer_id, p.period_start, p.period_end,
                               (SELECT held_before FROM held)) END
  FROM usage_submissions u
  JOIN billing_customers b ON b.tenant = u.tenant AND b.deleted_at IS NULL
 CROSS JOIN LATERAL billing_period(u.tenant, now()) p
 WHERE (SELECT restored_at FROM since) IS NOT NULL AND u.state = 'late' AND u.decision = 'carry'
   AND NOT is_proven(u.tenant, u.metric, b.stripe_customer_id, p.period_start, p.period_end,
                     (SELECT restored_at FROM since));

-- What is counted and not in a submission, with why. not_compared: see restore_unproven. too_large: Stripe takes 15
-- digits; sums are claimed in parts, but a part of a value that replaces others would be another value.
CREATE VIEW usage_unbilled WITH (security_invoker = true) AS
WITH open AS (
    SELECT t.tenant, t.metric, t.period_start, t.period_end, t.quantity,
           t.quantity - CASE WHEN m.aggregation IN ('sum', 'count') THEN coalesce(c.claimed, 0) ELSE 0 END AS rest,
           m.aggregation IN ('sum', 'count') AS additive, coalesce(c.claimed, 0) AS claimed,
           CASE WHEN m.transport = 'none' THEN 'not_billed'
                WHEN b.tenant IS NULL OR b.deleted_at IS NOT NULL OR b.contested_since IS NOT NULL THEN 'unmapped'
                WHEN p.stripe_subscription_id IS NULL AND EXISTS (
                     SELECT FROM subscriptions s WHERE s.tenant = t.tenant
                        AND s.status NOT IN ('incomplete', 'incomplete_expired')) THEN 'before_subscription'
                WHEN m.transport = 'usage_records' AND NOT EXISTS (
                     SELECT FROM subscription_items i
                      WHERE i.stripe_subscription_id = p.stripe_subscription_id AND i.metric = t.metric)
                     THEN 'unmapped'
                WHEN coalesce(t.period_start < (SELECT proof_needed_before()), false)
                     AND (SELECT value FROM ledger_state WHERE name = 'sink_hold') = 0
                     AND NOT is_proven(t.tenant, t.metric, b.stripe_customer_id, t.period_start, t.period_end,
                                       (SELECT proof_needed_before()))
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

-- Declared for the view below; what they do is in deploy/functions.
CREATE FUNCTION price_amount(p_price stripe_prices, p_quantity numeric) RETURNS numeric
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;
CREATE FUNCTION submission_period(p_tenant text, p_usage_at timestamptz, p_period_start timestamptz, p_carried boolean,
                                  OUT period_start timestamptz, OUT period_end timestamptz)
LANGUAGE plpgsql AS $$ BEGIN RAISE 'not defined yet'; END $$;

-- Usage that was sent for a period that ended over three days ago, and that no final invoice bills: a subscription was
-- canceled at once without a last invoice, or a draft was voided or deleted. Stripe keeps a draft open for three days at
-- most. Periods from before the first invoice that we heard of are not judged. The amount is that of the item's price,
-- or else of the plan's overage in the catalog, in minor units, exactly; NULL: neither is known.
CREATE VIEW usage_not_invoiced WITH (security_invoker = true) AS
SELECT p.tenant, c.metric, p.period_start, p.period_end, p.stripe_subscription_id, u.quantity,
       coalesce(i.amount_minor, o.amount_minor) AS amount_minor,
       CASE WHEN i.amount_minor IS NOT NULL THEN i.currency ELSE o.currency END AS currency
  FROM billing_periods p
  JOIN usage_claims c ON c.tenant = p.tenant AND c.period_start = p.period_start
  JOIN metrics m ON m.metric = c.metric
  -- Before all else (OFFSET 0), whatever PostgreSQL knows of the tables: most periods have their invoice.
 CROSS JOIN LATERAL (
       SELECT NOT EXISTS (SELECT FROM invoices x
                           WHERE x.tenant = p.tenant AND x.stripe_subscription_id = p.stripe_subscription_id
                             AND x.finalized_at IS NOT NULL AND x.status NOT IN ('void', 'deleted')
                             AND x.period_start < x.period_end AND date_trunc('minute', x.period_end) = p.period_end)
                  AS is_missing OFFSET 0) f
 CROSS JOIN LATERAL (
       SELECT CASE WHEN m.aggregation IN ('sum', 'count') THEN sum(s.quantity)
                   WHEN m.aggregation = 'max' THEN max(s.quantity)
                   ELSE (array_agg(s.quantity ORDER BY s.usage_at DESC, s.claim DESC))[1] END AS quantity
         FROM usage_submissions s
        CROSS JOIN LATERAL submission_period(s.tenant, s.usage_at, s.period_start, false) b
        WHERE f.is_missing AND s.tenant = p.tenant AND s.metric = c.metric AND s.state = 'sent'
          AND s.usage_at >= p.period_start AND s.usage_at <= p.period_end AND b.period_start = p.period_start) u
  LEFT JOIN LATERAL (
       SELECT price_amount(x, u.quantity) AS amount_minor, x.currency
         FROM subscription_items y JOIN stripe_prices x ON x.stripe_price_id = y.stripe_price_id
        WHERE y.stripe_subscription_id = p.stripe_subscription_id AND y.metric = c.metric
        ORDER BY x.usage_type = 'metered' DESC, y.stripe_subscription_item_id LIMIT 1) i ON true
  LEFT JOIN LATERAL (
       SELECT greatest(u.quantity - l.included, 0) * l.overage_unit_price AS amount_minor, l.currency
         FROM subscriptions y JOIN plan_limits l ON l.plan = y.plan AND l.metric = c.metric
        WHERE y.stripe_subscription_id = p.stripe_subscription_id) o ON true
 WHERE p.period_end < now() - interval '3 days'
   AND p.period_end > (SELECT min(x.created_at) FROM invoices x)
   AND f.is_missing AND c.claimed <> 0 AND u.quantity <> 0;

-- What of it was told.
CREATE TABLE not_invoiced_told (
    tenant       text COLLATE "C" NOT NULL,
    metric       text COLLATE "C" NOT NULL,
    period_start timestamptz NOT NULL,
    told_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, metric, period_start)
);
