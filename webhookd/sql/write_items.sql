-- Stores the items of a subscription. An item's metric is metadata.metric of the item or of its price, or else the
-- lookup key if that is the name of a metric.
-- $1 text: Stripe's subscription id
-- $2 text: tenant
-- $3 jsonb: its items now, [{id, price, lookup_key, metric, quantity}]
INSERT INTO subscription_items (stripe_subscription_item_id, stripe_subscription_id, tenant, metric,
                                stripe_price_id, quantity)
SELECT n.id, $1::text, $2::text, m.metric, n.price, n.quantity
  FROM jsonb_to_recordset($3::jsonb)
       AS n (id text, price text, lookup_key text, metric text, quantity bigint)
  LEFT JOIN metrics m ON m.metric = coalesce(n.metric, n.lookup_key)
    ON CONFLICT (stripe_subscription_item_id) DO UPDATE
   SET metric = excluded.metric, stripe_price_id = excluded.stripe_price_id,
       quantity = excluded.quantity
