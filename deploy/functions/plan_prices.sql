-- The prices that a subscription to a plan has: its fee and one for each metric that it meters, of that currency and
-- interval. Of several the one that was told last, since a new amount is a new price. Metered ones may be billed more
-- often than the fee: those of the fee's interval first.
CREATE OR REPLACE FUNCTION plan_prices(p_plan text, p_currency text, p_unit text, p_count integer) RETURNS SETOF stripe_prices
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT (x.price).*
      FROM (SELECT DISTINCT ON (p.usage_type = 'metered', p.metric) p AS price
              FROM stripe_prices p
             WHERE p.plan = p_plan AND p.currency = p_currency
               AND (p.billing_interval = p_unit AND p.interval_count = p_count OR p.usage_type = 'metered')
             ORDER BY p.usage_type = 'metered', p.metric,
                      (p.billing_interval = p_unit AND p.interval_count = p_count) DESC, p.plan_at DESC, p.stripe_price_id DESC) x
$$;

COMMENT ON FUNCTION plan_prices IS 'The prices that a subscription to a plan has, of that currency and interval.';
