-- What each product earns: recurring, a month at that time; and metered, in the last full period of each subscription.
-- product: Stripe's id, or empty where no price tells it. Rounded once; the exact sum of what recurs is that of revenue_at().
CREATE OR REPLACE FUNCTION revenue_streams(p_at timestamptz DEFAULT now(), p_currency text DEFAULT NULL)
RETURNS TABLE (product text, stream text, currency text, subscriptions bigint, amount fraction, amount_minor numeric)
LANGUAGE sql STABLE SET jit = off SET work_mem = '64MB' AS $$
    WITH wanted AS MATERIALIZED (
        SELECT coalesce(p_currency, reporting_currency()) AS currency
    ), kinds AS MATERIALIZED (   -- what is the same but for the ids of items
        SELECT x.items #- '{0,id}' #- '{1,id}' #- '{2,id}' #- '{3,id}' AS items, x.discounts, coalesce(x.currency, '') AS currency,
               count(*) AS subscriptions
          FROM subscriptions s
         CROSS JOIN LATERAL (SELECT y.* FROM subscription_states y
                              WHERE y.stripe_subscription_id = s.stripe_subscription_id AND y.valid_from <= p_at
                              ORDER BY y.valid_from DESC LIMIT 1) x
         WHERE x.status IN ('active', 'past_due')
         GROUP BY 1, 2, 3
    ), recurring AS (
        SELECT m.product, k.currency, sum(k.subscriptions) AS subscriptions,
               fraction_sum(array_agg(ROW((m.mrr).numerator * k.subscriptions, (m.mrr).denominator)::fraction)) AS amount
          FROM kinds k CROSS JOIN LATERAL product_mrr(k.items, k.discounts, NULLIF(k.currency, '')) m
         WHERE (m.mrr).numerator <> 0
         GROUP BY 1, 2
    ), metered AS (
        SELECT u.product, u.currency, count(DISTINCT u.subscription) AS subscriptions, ROW(sum(u.amount_minor), 1)::fraction AS amount
          FROM metered_revenue(p_at) u
         WHERE u.amount_minor <> 0
         GROUP BY 1, 2
    ), streams AS (
        SELECT r.product, 'recurring' AS stream, r.currency, r.subscriptions, r.amount FROM recurring r
        UNION ALL
        SELECT u.product, 'metered', u.currency, u.subscriptions, u.amount FROM metered u
    )
    SELECT x.product, x.stream, w.currency, x.subscriptions, x.amount, fraction_round(x.amount)
      FROM (SELECT s.product, s.stream, sum(s.subscriptions)::bigint AS subscriptions,
                   fraction_sum(array_agg(ROW((s.amount).numerator * (r.rate).numerator,
                                              (s.amount).denominator * (r.rate).denominator)::fraction)) AS amount
              FROM streams s
             CROSS JOIN wanted w
             CROSS JOIN LATERAL (SELECT exchange_rate(s.currency, w.currency, p_at) AS rate) r
             GROUP BY 1, 2) x
     CROSS JOIN wanted w
     ORDER BY x.product, x.stream DESC
$$;

COMMENT ON FUNCTION revenue_streams IS 'What each product earns, recurring and metered.';
