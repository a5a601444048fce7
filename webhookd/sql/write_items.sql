-- Stores the items of a subscription. Their metric is what the price or the item names as
-- metadata.metric, or else a lookup key that is a metric's name.
-- $1 text: Stripe's subscription id
-- $2 text: tenant
-- $3 jsonb: its items now, [{id, price, lookup_key, metric, quantity}]
insert into subscription_items (stripe_subscription_item_id, stripe_subscription_id, tenant, metric,
                                stripe_price_id, quantity)
select n.id, $1::text, $2::text, m.metric, n.price, n.quantity
  from jsonb_to_recordset($3::jsonb)
       as n (id text, price text, lookup_key text, metric text, quantity bigint)
  left join metrics m on m.metric = coalesce(n.metric, n.lookup_key)
    on conflict (stripe_subscription_item_id) do update
   set metric = excluded.metric, stripe_price_id = excluded.stripe_price_id,
       quantity = excluded.quantity
