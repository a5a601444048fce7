-- Works a batch of Stripe's events: notes what they say, makes everything that follows from it, and ends the events, in
-- the caller's transaction. The batch is an array of observations (observation.h in common/stripe/objects); an element
-- without an object is an event that ends as its `outcome` and `why` say.
--
-- Returns a row for each thing to tell: `event` (id, tenant, state, why) for each event that ended; `limits` (tenant)
-- whose limits may be other ones; `plan_unknown` (id of the subscription, tenant); `contested` (tenant); `other_tenant`
-- (id of the object, tenant, what it names) of an object whose customer belongs to another tenant than it says;
-- `message` (id of the object, tenant, kind of the event) that was put into the outbox.
--
-- What follows is a function of all that was ever noted, whatever the order. So events of a customer that nothing says
-- the tenant of are kept, and are taken up when something does. Locks are taken in one order, so that nobody deadlocks:
-- prices, then customers and what links them, then tenants.
CREATE OR REPLACE FUNCTION apply_stripe_events(p_batch jsonb)
RETURNS TABLE (what text, id text, tenant text, state text, why text)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    prices text[];
    mapped text[];      -- customers that belong to another tenant since
    tenants text[];
    subs text[];
    invoices_told text[];
    payments_told text[];
    checkouts text[];
    others text[];      -- invoice items and schedules
    moved text[];       -- tenants whose periods may be other ones
    limited text[];     -- tenants whose limits may be
    contested text[];
    known subscription_states[];   -- the newest state of each subscription that was known before
    received text[];               -- payments that were
    t text;
    stored record;
BEGIN
    prices := note_prices(p_batch);

    PERFORM pg_advisory_xact_lock(k.lock)
       FROM (SELECT DISTINCT hashtextextended('meterline object ' || x.key, 0) AS lock
               FROM jsonb_to_recordset(p_batch) AS n (customer text, "group" text, parent text)
              CROSS JOIN LATERAL (VALUES (n.customer), (n."group"), (n.parent)) AS x (key)
              WHERE x.key IS NOT NULL
             UNION
             SELECT hashtextextended('meterline object ' || s.stripe_customer_id, 0)
               FROM subscription_items i JOIN subscriptions s USING (stripe_subscription_id)
              WHERE i.stripe_price_id = ANY (prices)
              ORDER BY lock) k;

    PERFORM note_observations(p_batch);
    PERFORM note_discounts(p_batch);
    mapped := map_customers(p_batch);
    -- Parts of a payment that name no customer are worked under the lock of their payment and invoice alone. Whoever
    -- makes these anew for a customer needs that lock as well. If two wait for each other, PostgreSQL ends one of them,
    -- and its events are worked again.
    IF mapped <> '{}' THEN
        PERFORM pg_advisory_xact_lock(k.lock)
           FROM (SELECT DISTINCT hashtextextended('meterline object ' || o.group_id, 0) AS lock
                   FROM stripe_observations o
                  WHERE o.customer_id = ANY (mapped)
                    AND o.kind IN ('invoice', 'charge', 'payment_intent', 'invoice_payment', 'refund')
                  ORDER BY lock) k;
    END IF;

    -- What is made anew: what the batch tells of, all of a customer that has just got its tenant, what has a price that
    -- has just got a plan, what is past due and may be so since a payment that failed, and payments of an invoice that
    -- names their customer.
    SELECT array_agg(DISTINCT x.object) FILTER (WHERE x.kind = 'subscription'),
           array_agg(DISTINCT x.object) FILTER (WHERE x.kind = 'invoice'),
           array_agg(DISTINCT x.grouped) FILTER (WHERE x.kind IN ('charge', 'payment_intent', 'invoice_payment', 'refund')),
           array_agg(DISTINCT x.object) FILTER (WHERE x.kind = 'checkout'),
           array_agg(DISTINCT x.object) FILTER (WHERE x.kind IN ('invoice_item', 'schedule'))
      INTO subs, invoices_told, payments_told, checkouts, others
      FROM (SELECT n.kind, n.object, n."group" AS grouped
              FROM jsonb_to_recordset(p_batch) AS n (kind text, object text, "group" text)
            UNION ALL
            SELECT o.kind, o.object_id, o.group_id FROM stripe_observations o WHERE o.customer_id = ANY (mapped)
            UNION ALL
            SELECT 'subscription', i.stripe_subscription_id, NULL FROM subscription_items i
             WHERE i.stripe_price_id = ANY (prices)
            UNION ALL
            SELECT 'subscription', s.stripe_subscription_id, NULL
              FROM jsonb_to_recordset(p_batch) AS n (type text, parent text)
              JOIN subscriptions s ON s.stripe_subscription_id = n.parent
             WHERE n.type = 'invoice.payment_failed' AND s.status = 'past_due') x;
    IF invoices_told IS NOT NULL THEN
        payments_told := payments_told || ARRAY(SELECT DISTINCT o.group_id FROM stripe_observations o
                                                 WHERE o.parent_id = ANY (invoices_told) AND o.group_id <> o.object_id);
    END IF;

    SELECT coalesce(array_agg(x.tenant ORDER BY x.tenant), '{}') INTO tenants
      FROM (SELECT c.tenant FROM jsonb_to_recordset(p_batch) AS n (customer text)
              JOIN stripe_customers c ON c.stripe_customer_id = n.customer
            UNION
            SELECT s.tenant FROM unnest(subs) AS u (id) JOIN subscriptions s ON s.stripe_subscription_id = u.id
            UNION
            SELECT b.tenant FROM unnest(mapped) AS m (id) JOIN billing_customers b ON b.stripe_customer_id = m.id) x
     WHERE x.tenant IS NOT NULL;
    FOREACH t IN ARRAY tenants LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended('meterline tenant ' || t, 0));
    END LOOP;

    moved := '{}';
    -- A tenant's first customer. If its plan limits nothing, it has no quotas for ever.
    limited := ARRAY(SELECT DISTINCT c.tenant FROM stripe_customers c
                      WHERE c.stripe_customer_id = ANY (mapped) AND c.tenant IS NOT NULL
                        AND NOT EXISTS (SELECT FROM usage_quotas q WHERE q.tenant = c.tenant));
    IF subs IS NOT NULL THEN
        known := ARRAY(SELECT n.state FROM unnest(subs) u (id)
                        CROSS JOIN LATERAL (SELECT y AS state FROM subscription_states y WHERE y.stripe_subscription_id = u.id
                                             ORDER BY y.valid_from DESC LIMIT 1) n);
        FOR stored IN SELECT * FROM store_subscriptions(subs) LOOP
            IF stored.moves_periods THEN
                moved := moved || stored.tenant || stored.old_tenant;
            END IF;
            IF stored.moves_limits THEN
                limited := limited || stored.tenant || stored.old_tenant;
            END IF;
            IF stored.plan_is_unknown THEN
                RETURN QUERY SELECT 'plan_unknown', stored.subscription, stored.tenant, NULL, NULL;
            END IF;
        END LOOP;
        PERFORM tell_subscriptions(subs, known);
    END IF;
    IF invoices_told IS NOT NULL THEN
        PERFORM store_invoices(invoices_told);
        PERFORM tell_invoices(invoices_told);
    END IF;
    IF payments_told IS NOT NULL THEN
        received := ARRAY(SELECT p.stripe_payment_id FROM payments p
                           WHERE p.stripe_payment_id = ANY (payments_told) AND p.status = 'succeeded' AND p.amount_minor > 0);
        PERFORM store_payments(payments_told);
        PERFORM tell_payments(payments_told, received);
    END IF;
    IF checkouts IS NOT NULL THEN
        PERFORM store_checkouts(checkouts);
    END IF;
    IF others IS NOT NULL THEN
        PERFORM store_invoice_items(others);
        PERFORM store_schedules(others);
    END IF;
    IF subs IS NOT NULL OR mapped <> '{}'
       OR EXISTS (SELECT FROM jsonb_to_recordset(p_batch) AS n (kind text) WHERE n.kind = 'customer') THEN
        contested := choose_customers(tenants);
        RETURN QUERY SELECT 'contested', b.stripe_customer_id, b.tenant, NULL,
               (SELECT string_agg(c.stripe_customer_id, ', ' ORDER BY c.stripe_customer_id) FROM stripe_customers c
                 WHERE c.tenant = b.tenant AND c.deleted_at IS NULL)
          FROM billing_customers b WHERE b.tenant = ANY (contested);
    END IF;
    -- Mostly those who have just subscribed: at once. Who has used something, or has had several subscriptions, by itself.
    moved := ARRAY(SELECT DISTINCT u FROM unnest(moved) u WHERE u IS NOT NULL ORDER BY 1);
    IF moved <> '{}' THEN
        moved := store_plain_periods(moved);
        PERFORM refresh_billing_periods(u) FROM unnest(moved) u;
    END IF;
    limited := ARRAY(SELECT DISTINCT u FROM unnest(limited) u WHERE u IS NOT NULL ORDER BY 1);
    IF limited <> '{}' THEN
        PERFORM refresh_quotas_of(limited);
    END IF;
    RETURN QUERY SELECT 'limits', NULL, u, NULL, NULL FROM unnest(limited) u;

    -- A new invoice bills a period that is over. Usage of that period must reach it while it is a draft.
    PERFORM request_sink(x.tenant, 'settle')
       FROM (SELECT DISTINCT c.tenant
               FROM jsonb_to_recordset(p_batch) AS n (type text, customer text)
               JOIN stripe_customers c ON c.stripe_customer_id = n.customer
              WHERE n.type = 'invoice.created' AND c.tenant IS NOT NULL) x;

    RETURN QUERY
    WITH told AS MATERIALIZED (
        SELECT n.event, n.object, n.kind, n.tenant AS named, c.tenant, n.outcome, n.why, n.type, n.created, n.detail,
               n.facts ->> 'id' AS noted_id
          FROM jsonb_to_recordset(p_batch) AS n (event text, object text, kind text, customer text, "group" text,
               tenant text, outcome text, why text, type text, created float8, detail jsonb, facts jsonb)
          LEFT JOIN LATERAL (SELECT coalesce(n.customer, CASE WHEN n.kind IN ('refund', 'invoice_payment', 'charge',
                                                                              'payment_intent', 'note')
                                                              THEN payer_of(n."group") END) AS id) k ON true
          LEFT JOIN stripe_customers c ON c.stripe_customer_id = k.id
         WHERE n.event IS NOT NULL
    ), taken_up AS MATERIALIZED (   -- what was ignored for want of a tenant
        SELECT o.event_id AS event, o.object_id AS object, o.kind, c.tenant, o.type, o.created_at, o.detail,
               o.facts ->> 'id' AS noted_id
          FROM (SELECT x.* FROM stripe_observations x WHERE x.customer_id = ANY (mapped)
                UNION ALL
                SELECT x.*
                  FROM unnest(payments_told) AS g (id)
                 CROSS JOIN LATERAL (SELECT y.* FROM stripe_observations y WHERE y.object_id = g.id
                                     UNION ALL
                                     SELECT y.* FROM stripe_observations y
                                      WHERE y.group_id = g.id AND y.group_id <> y.object_id) x
                 WHERE x.customer_id IS NULL) o
          JOIN stripe_customers c ON c.tenant IS NOT NULL
                                 AND c.stripe_customer_id = coalesce(o.customer_id, payer_of(o.group_id))
         WHERE o.event_id <> '' AND NOT EXISTS (SELECT FROM told n WHERE n.event = o.event_id)
    ), ended AS (
        SELECT n.event, n.tenant,
               coalesce(n.outcome, CASE WHEN n.tenant IS NULL AND n.kind <> 'price' THEN 'ignored' ELSE 'processed' END) AS state,
               CASE WHEN n.outcome IS NULL AND n.tenant IS NOT NULL THEN
                         CASE WHEN n.named <> n.tenant
                              THEN 'it names tenant ' || n.named || ', but its customer belongs to ' || n.tenant
                                   || ': correct its metadata.tenant' END
                    WHEN n.outcome IS NULL AND n.kind <> 'price' THEN
                         coalesce(n.why, 'no tenant: neither the object nor its customer has metadata.tenant')
                    ELSE n.why END AS why
          FROM told n
        UNION ALL
        SELECT u.event, u.tenant, 'processed', NULL FROM taken_up u
    ), updated AS (
        UPDATE webhook_events w
           SET state = e.state, error = e.why, attempts = w.attempts + 1, processed_at = now()
          FROM ended e
         -- The list says it twice, so that each is looked up: nearly all are processed, and where PostgreSQL expects none
         -- of the others, it would rather look for them among all.
         WHERE w.event_id = e.event AND w.event_id = ANY (ARRAY(SELECT x.event FROM ended x)) AND w.state <> 'processed'
    ), history AS (
        INSERT INTO billing_history (tenant, kind, object_id, event_id, detail, occurred_at)
        SELECT x.tenant, replace(x.type, '.', '_'), x.object, x.event, coalesce(x.detail, '{}'), x.at
          FROM (SELECT n.tenant, n.type, CASE n.kind WHEN 'note' THEN n.noted_id ELSE n.object END AS object, n.event,
                       n.detail, to_timestamp(n.created) AS at
                  FROM told n WHERE n.tenant IS NOT NULL AND n.object IS NOT NULL AND n.kind <> 'price'
                UNION ALL
                SELECT u.tenant, u.type, CASE u.kind WHEN 'note' THEN u.noted_id ELSE u.object END, u.event, u.detail,
                       u.created_at
                  FROM taken_up u) x
        ON CONFLICT (event_id) DO NOTHING
        RETURNING *
    )
    SELECT 'event', e.event, e.tenant, e.state, e.why FROM ended e
    UNION ALL
    SELECT 'other_tenant', n.object, n.tenant, NULL, n.named FROM told n
     WHERE n.named <> n.tenant AND n.outcome IS NULL
    UNION ALL
    SELECT 'message', h.object_id, h.tenant, NULL, h.kind FROM history h
     WHERE CASE WHEN h.kind IN ('charge_dispute_created', 'charge_dispute_closed', 'invoice_upcoming')
                THEN tell_note(h.kind, h.object_id, h.event_id, h.tenant, h.detail, h.occurred_at) END;
END $$;

COMMENT ON FUNCTION apply_stripe_events IS 'Works a batch of Stripe''s events and returns what became of them.';
