-- Since when a subscription that is past due has been so without a break: the newest event that led into it. If that
-- event never came, it is the first failed payment since the subscription was last known to be in order, else the first
-- time that it was seen past due. What was known before older observations were forgotten still holds.
CREATE OR REPLACE FUNCTION past_due_since(p_subscription text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
    WITH in_order AS (   -- the newest time at which it was in order, and the first one after it
        SELECT max(o.created_at) AS until FROM stripe_observations o
         WHERE o.object_id = p_subscription AND o.is_last AND o.status <> 'past_due'
    ), seen AS (
        SELECT min(o.created_at) AS since,
               max(o.created_at) FILTER (WHERE o.is_first OR o.prior_status <> 'past_due') AS told
          FROM stripe_observations o
         WHERE o.object_id = p_subscription AND o.status = 'past_due'
           AND o.created_at >= coalesce((SELECT until FROM in_order), '-infinity')
           AND (o.is_last OR o.created_at > coalesce((SELECT until FROM in_order), '-infinity'))
    )
    SELECT coalesce(s.told, least(
        (SELECT b.past_due_since FROM subscriptions b
          WHERE b.stripe_subscription_id = p_subscription AND b.status = 'past_due'
            AND (SELECT until FROM in_order) IS NULL),
        coalesce(
        (SELECT min(CASE WHEN i.type = 'invoice.payment_failed' THEN i.created_at
                         ELSE fact_time(i.facts, 'latest_invoice_finalized_at') END)
           FROM stripe_observations i
          WHERE i.customer_id = (SELECT o.customer_id FROM stripe_observations o WHERE o.object_id = p_subscription LIMIT 1)
            AND (i.type = 'invoice.payment_failed' AND i.parent_id = p_subscription
                    AND i.created_at BETWEEN coalesce((SELECT until FROM in_order), '-infinity') AND s.since
                 OR i.object_id = p_subscription AND i.event_id = ''
                    AND fact_time(i.facts, 'latest_invoice_finalized_at')
                        BETWEEN coalesce((SELECT until FROM in_order), '-infinity') AND s.since)),
        s.since)))
      FROM seen s);
END $$;

COMMENT ON FUNCTION past_due_since IS 'Since when a subscription that is past due has been so without a break.';
