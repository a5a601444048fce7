-- What was claimed for Stripe, sent and settled. Written by the sink.

CREATE TABLE usage_submissions (
    identifier         text PRIMARY KEY,      -- also the Idempotency-Key
    tenant             text NOT NULL,
    metric             text NOT NULL,
    transport          text NOT NULL,
    stripe_customer_id text NOT NULL,
    event_name         text NOT NULL,
    period_start       timestamptz NOT NULL,
    claim              integer NOT NULL,      -- numbers the claims of a (tenant, metric, period) from 1
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
    -- Of one in doubt: what Stripe held of its minute, and when that was read first. The second reading decides.
    doubt_quantity     numeric(38,9),
    doubt_read_at      timestamptz,
    UNIQUE (tenant, metric, period_start, claim)
) WITH (fillfactor = 80);
-- A lane has one call in flight; a crashed sink's call keeps the lane until its lease has passed.
CREATE UNIQUE INDEX usage_submissions_lane ON usage_submissions (stripe_customer_id, event_name)
    WHERE state = 'sending';
CREATE UNIQUE INDEX usage_submissions_minute ON usage_submissions (stripe_customer_id, event_name, usage_at)
    WHERE state <> 'void';
CREATE INDEX usage_submissions_open ON usage_submissions (stripe_customer_id, event_name, usage_at)
    WHERE state IN ('pending', 'sending');
CREATE INDEX usage_submissions_due ON usage_submissions (next_attempt_at) WHERE state = 'pending';
CREATE INDEX usage_submissions_state ON usage_submissions (state) WHERE state NOT IN ('sent', 'void');
-- What was sent at a time, of all tenants: asked when Stripe reports errors.
CREATE INDEX usage_submissions_sent ON usage_submissions USING brin (last_sent_at) WITH (autosummarize = on);
CREATE INDEX usage_submissions_usage ON usage_submissions (tenant, metric, usage_at);

-- How much of each total its submissions hold. A total is dirty if its version is newer than this one's.
CREATE TABLE usage_claims (
    tenant       text NOT NULL,
    metric       text NOT NULL,
    period_start timestamptz NOT NULL,
    version      bigint NOT NULL,             -- of the total when it was last claimed
    claimed      numeric(38,9) NOT NULL,      -- sum of submissions that are not void; for last: the newest value
    claims       integer NOT NULL,            -- the number of the last claim
    first_at     timestamptz,                 -- least and greatest usage_at used
    last_at      timestamptz,
    -- billing_period_changes.version when claimed was last summed up: what was claimed in a period is what
    -- its submissions hold whose usage_at lies in it, so a moved edge means to sum them up again.
    periods_version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, metric, period_start)
) WITH (fillfactor = 80);

-- A submission that Stripe surely does not hold becomes void, and its quantity is claimed anew: its claim is summed up
-- once more by the next claimer, under a new number and in another minute. Claimers wait meanwhile, or one that has
-- read the claim already would write back what it was. Returns whether it was in one of the states given.
CREATE FUNCTION void_submission(p_identifier text, p_states text[], p_why text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    s record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    UPDATE usage_submissions
       SET state = 'void', last_error = p_why, owner = NULL, lease_until = NULL
     WHERE identifier = p_identifier AND state = ANY (p_states)
    RETURNING tenant, metric INTO s;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE usage_claims SET version = -1, periods_version = -1 WHERE tenant = s.tenant AND metric = s.metric;
    RETURN true;
END $$;

-- What others ask of the sink: to claim a tenant's usage at once, since an invoice of it was begun, or to compare it
-- with Stripe. A request goes when it was done, unless it was made again meanwhile.
CREATE TABLE sink_requests (
    tenant       text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('settle', 'reconcile')),
    requested_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, kind)
);
CREATE FUNCTION request_sink(p_tenant text, p_kind text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO sink_requests (tenant, kind) VALUES (p_tenant, p_kind)
    ON CONFLICT (tenant, kind) DO UPDATE SET requested_at = now()
$$;

-- What is counted and not in a submission, with why.
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
