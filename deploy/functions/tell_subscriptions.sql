-- Puts into the outbox what has become of subscriptions: that they started, changed or ended, that a trial is about to
-- end, and that a tenant has two at once. p_before: the newest state of each that was known before.
--
-- That one started and that it ended are told of every subscription, once, whatever was heard first. A change is told
-- if what is known to hold now is another than before: what a late event tells of the past stands in the history alone.
CREATE OR REPLACE FUNCTION tell_subscriptions(p_subscriptions text[], p_before subscription_states[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    s record;
    begun text[] := '{}';   -- tenants of whom one has just started
    earned text[] := '{}';  -- customers who may earn us another sum
    whole jsonb;
    was jsonb;
    is_now jsonb;
BEGIN
    FOR s IN
        SELECT x.stripe_subscription_id AS id, x.tenant, x.stripe_customer_id AS customer, x.plan, x.plan_quantity, x.status,
               x.currency, x.started_at, x.ended_at, x.trial_end, x.cancel_reason, x.event_created,
               x.status IN ('incomplete', 'incomplete_expired') AS is_incomplete,
               n.shape IS DISTINCT FROM b.shape OR n.tenant IS DISTINCT FROM b.tenant
               OR EXISTS (SELECT FROM customer_mrr k WHERE k.stripe_customer_id = x.stripe_customer_id AND NOT k.is_known)
               -- What a discount takes off may have been told just now: it is none of the state.
               OR n.discounts @? '$[*]' OR n.items @? '$[*].discounts[*]' AS moves_mrr,
               CASE WHEN b.tenant = x.tenant AND b.status NOT IN ('incomplete', 'incomplete_expired') THEN b.status END
                   AS old_status,
               jsonb_build_object('plan', b.plan, 'status', b.status, 'items', b.items, 'discounts', jsonb_path_query_array(b.discounts, '$[*].id'),
                                  'cancel_at', b.cancel_at, 'collection_paused', b.collection_paused) AS old_state,
               jsonb_build_object('plan', n.plan, 'status', n.status, 'items', n.items, 'discounts', jsonb_path_query_array(n.discounts, '$[*].id'),
                                  'cancel_at', n.cancel_at, 'collection_paused', n.collection_paused) AS new_state
          FROM unnest(p_subscriptions) u (id)
          JOIN subscriptions x ON x.stripe_subscription_id = u.id
         CROSS JOIN LATERAL (SELECT y.* FROM subscription_states y
                              WHERE y.stripe_subscription_id = u.id ORDER BY y.valid_from DESC LIMIT 1) n
          LEFT JOIN unnest(p_before) b ON b.stripe_subscription_id = u.id
         ORDER BY u.id
    LOOP
        CONTINUE WHEN s.is_incomplete;
        IF s.moves_mrr THEN
            earned := earned || s.customer;
        END IF;
        whole := jsonb_build_object('subscription', s.id, 'customer', s.customer, 'plan', s.plan,
                                    'plan_quantity', s.plan_quantity, 'status', s.status, 'currency', s.currency);
        IF s.old_status IS NULL THEN
            PERFORM add_message('subscription_started', s.id, s.tenant,
                                whole || jsonb_build_object('trial_end', s.trial_end), s.started_at);
            begun := begun || s.tenant;
        END IF;
        IF s.status = 'canceled' THEN
            IF s.old_status IS DISTINCT FROM 'canceled' THEN
                PERFORM add_message('subscription_ended', s.id, s.tenant,
                                    whole || jsonb_build_object('reason', s.cancel_reason), s.ended_at);
            END IF;
        ELSIF s.old_status IS NOT NULL AND s.old_state <> s.new_state THEN
            SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, s.new_state -> o.key) INTO was, is_now
              FROM jsonb_each(s.old_state) o WHERE o.value IS DISTINCT FROM s.new_state -> o.key;
            PERFORM add_message('subscription_changed',
                                concat_ws(' ', s.id, extract(epoch FROM s.event_created), was, is_now), s.tenant,
                                whole || jsonb_build_object('before', was, 'after', is_now),
                                coalesce(s.event_created, now()));
        END IF;
        IF s.status = 'trialing' AND s.trial_end > now()
           AND EXISTS (SELECT FROM stripe_observations o
                        WHERE o.object_id = s.id AND o.type = 'customer.subscription.trial_will_end'
                          AND fact_time(o.facts, 'trial_end') = s.trial_end) THEN
            PERFORM add_message('trial_ending', concat_ws(' ', s.id, extract(epoch FROM s.trial_end)), s.tenant,
                                whole || jsonb_build_object('trial_end', s.trial_end), now());
        END IF;
    END LOOP;

    IF earned <> '{}' THEN
        PERFORM tell_mrr(earned);
    END IF;

    -- Usage of a tenant with two of them is billed by each.
    PERFORM add_message('subscription_doubled', array_to_string(d.subscriptions, ' '), d.tenant,
                        jsonb_build_object('subscriptions', d.subscriptions, 'customers', d.customers), d.since)
       FROM doubled_subscriptions d
      WHERE d.tenant = ANY (begun);
END $$;

COMMENT ON FUNCTION tell_subscriptions IS 'Puts into the outbox what has become of subscriptions.';
