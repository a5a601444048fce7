-- Deletes the items that a subscription no longer has.
-- $1 text: Stripe's subscription id
-- $2 jsonb: its items now, [{id, …}]
DELETE FROM subscription_items i
 WHERE i.stripe_subscription_id = $1::text
   AND NOT EXISTS (SELECT FROM jsonb_to_recordset($2::jsonb) AS n (id text)
                    WHERE n.id = i.stripe_subscription_item_id)
