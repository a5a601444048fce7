-- What customers earn us a month at that time, by what is known now: in minor units, exactly, a row for each currency
-- that a subscription of theirs has. is_known: no price was missing. p_customers NULL: all of them.
CREATE OR REPLACE FUNCTION customers_mrr(p_at timestamptz, p_customers text[] DEFAULT NULL)
RETURNS TABLE (stripe_customer_id text, tenant text, currency text, mrr fraction, is_known boolean)
LANGUAGE sql STABLE AS $$
    SELECT n.customer, min(n.tenant), n.currency, fraction_sum(array_agg(n.mrr)), bool_and(n.mrr IS NOT NULL)
      FROM (SELECT x.stripe_customer_id AS customer, x.tenant, coalesce(x.currency, '') AS currency, subscription_mrr(x) AS mrr
              FROM (SELECT a.stripe_subscription_id FROM subscriptions a WHERE p_customers IS NULL
                    UNION ALL
                    SELECT a.stripe_subscription_id FROM subscriptions a WHERE a.stripe_customer_id = ANY (p_customers)) s
             CROSS JOIN LATERAL (SELECT y.* FROM subscription_states y
                                  WHERE y.stripe_subscription_id = s.stripe_subscription_id AND y.valid_from <= p_at
                                  ORDER BY y.valid_from DESC LIMIT 1) x) n
     GROUP BY n.customer, n.currency
$$;

COMMENT ON FUNCTION customers_mrr IS 'What customers earn us a month at a time, exactly.';
