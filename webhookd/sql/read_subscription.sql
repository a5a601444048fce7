-- What is stored of a subscription. `state` is the fingerprint that stripe_objects.c makes of a subscription.
-- $1 text: Stripe's subscription id
SELECT s.tenant, (s.status IN ('canceled', 'incomplete_expired'))::integer AS final,
       coalesce(extract(epoch FROM s.event_created)::bigint, -1) AS created_s,
       concat_ws('|', s.stripe_customer_id, s.status,
                 extract(epoch FROM s.current_period_start)::bigint,
                 extract(epoch FROM s.current_period_end)::bigint,
                 coalesce(extract(epoch FROM s.ended_at)::bigint, 0), s.cancel_at_period_end::integer)
       || coalesce((SELECT string_agg('|' || i.stripe_subscription_item_id || '=' || i.stripe_price_id
                                      || coalesce('*' || i.quantity, ''), ''
                                      ORDER BY i.stripe_subscription_item_id COLLATE "C")
                      FROM subscription_items i
                     WHERE i.stripe_subscription_id = s.stripe_subscription_id), '') AS state
  FROM subscriptions s
 WHERE s.stripe_subscription_id = $1::text
   FOR UPDATE
