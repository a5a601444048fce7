-- What each subscription earned a month, state by state, up to a time: `units` of a minor unit divided by `per`, exactly;
-- `per` is the same in all rows, so that units add up as they are. ends_at: when the next state began; NULL: it holds on.
-- Where a price is not known, is_known is false and nothing is counted.
--
-- Thousands of subscriptions have the same items but for the ids, which say nothing about what they earn: each kind is
-- worked out once. (Where there are more than four items, their ids make it a kind of its own.)
CREATE OR REPLACE FUNCTION revenue_states(p_until timestamptz)
RETURNS TABLE (subscription text, customer text, plan text, currency text, valid_from timestamptz, ends_at timestamptz,
               units numeric, per numeric, is_known boolean)
LANGUAGE sql STABLE SET jit = off SET work_mem = '64MB' SET enable_mergejoin = off AS $$
    WITH kept AS MATERIALIZED (
        SELECT y.stripe_subscription_id, y.valid_from, y.stripe_customer_id, coalesce(y.plan, '') AS plan, c.currency,
               lead(y.valid_from) OVER (PARTITION BY y.stripe_subscription_id ORDER BY y.valid_from) AS ends_at,
               CASE WHEN y.status IN ('active', 'past_due')
                    THEN y.items #- '{0,id}' #- '{1,id}' #- '{2,id}' #- '{3,id}' END AS items, y.discounts
          FROM subscription_states y
         CROSS JOIN LATERAL (SELECT coalesce(y.currency, '') AS currency) c
         WHERE y.valid_from <= p_until
    ), told AS MATERIALIZED (
        SELECT k.items, k.discounts, k.currency, items_mrr(k.items, k.discounts, NULLIF(k.currency, '')) AS mrr
          FROM (SELECT DISTINCT x.items, x.discounts, x.currency FROM kept x WHERE x.items IS NOT NULL) k
    ), common AS MATERIALIZED (
        SELECT common_denominator(array_agg(DISTINCT (k.mrr).denominator)) AS per FROM told k
    ), kinds AS MATERIALIZED (
        SELECT k.*, trim_scale((k.mrr).numerator * div(c.per, (k.mrr).denominator)) AS units FROM told k CROSS JOIN common c
    )
    SELECT x.stripe_subscription_id, x.stripe_customer_id, x.plan, x.currency, x.valid_from, x.ends_at,
           coalesce(k.units, 0), c.per, x.items IS NULL OR k.mrr IS NOT NULL
      FROM kept x
     CROSS JOIN common c
      LEFT JOIN kinds k ON (k.items, k.discounts, k.currency) = (x.items, x.discounts, x.currency)
$$;

COMMENT ON FUNCTION revenue_states IS 'What each subscription earned a month, state by state.';
