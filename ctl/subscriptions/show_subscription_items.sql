-- What is sold by subscriptions: the fee first, then usage by metric.
-- $1 text: id of the subscription, or tenant
SELECT i.stripe_subscription_id AS subscription, i.stripe_subscription_item_id AS item, i.metric, i.quantity,
       i.stripe_price_id AS price, p.lookup_key, trim_scale(i.unit_amount)::text AS unit_amount, i.currency,
       i.current_period_end AS period_end
  FROM subscription_items i
  JOIN subscriptions s USING (stripe_subscription_id)
  LEFT JOIN stripe_prices p ON p.stripe_price_id = i.stripe_price_id
 WHERE s.stripe_subscription_id = $1::text OR s.tenant = $1::text
 ORDER BY i.stripe_subscription_id, i.metric NULLS FIRST, i.stripe_subscription_item_id
