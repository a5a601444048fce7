-- A subscription as webhookd has stored it: the one that is named, or the one that decides the tenant's plan, or else the
-- one that ended last.
-- $1 text: tenant; $2 text: subscription, or NULL
SELECT jsonb_build_object(
           'id', s.stripe_subscription_id, 'tenant', s.tenant, 'customer', s.stripe_customer_id, 'plan', s.plan,
           'status', s.status, 'currency', s.currency, 'interval', coalesce(f.billing_interval, s.billing_interval),
           'seats', f.quantity,
           'current_period_start', rfc3339(coalesce(f.current_period_start, s.current_period_start)),
           'current_period_end', rfc3339(coalesce(f.current_period_end, s.current_period_end)),
           'trial_end', rfc3339(s.trial_end), 'started_at', rfc3339(s.started_at),
           'cancel_at_period_end', s.cancel_at_period_end, 'cancel_at', rfc3339(s.cancel_at),
           'canceled_at', rfc3339(s.canceled_at), 'ended_at', rfc3339(s.ended_at),
           'collection_paused', s.collection_paused, 'billing_mode', s.billing_mode, 'schedule', s.schedule,
           'items', coalesce(i.items, '[]'), 'latest_invoice', s.latest_invoice, 'pending', false)::text
  FROM subscriptions s
  LEFT JOIN LATERAL (
       SELECT coalesce(p.billing_interval, i.billing_interval) AS billing_interval, i.quantity, i.current_period_start,
              i.current_period_end
         FROM subscription_items i
         LEFT JOIN stripe_prices p USING (stripe_price_id)
        WHERE i.stripe_subscription_id = s.stripe_subscription_id AND i.metric IS NULL
        ORDER BY p.plan IS NULL, i.stripe_subscription_item_id LIMIT 1) f ON true
  LEFT JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_object('id', i.stripe_subscription_item_id, 'price', i.stripe_price_id,
                                           'metric', i.metric, 'quantity', i.quantity)
                        ORDER BY i.metric NULLS FIRST, i.stripe_subscription_item_id) AS items
         FROM subscription_items i WHERE i.stripe_subscription_id = s.stripe_subscription_id) i ON true
 WHERE s.tenant = $1 AND ($2::text IS NULL OR s.stripe_subscription_id = $2)
 ORDER BY s.stripe_subscription_id = (deciding_subscription($1)).stripe_subscription_id DESC NULLS LAST,
          s.ended_at DESC NULLS FIRST, s.started_at DESC, s.stripe_subscription_id
 LIMIT 1
