-- Forgets the items that a subscription has no more.
-- $1 text: Stripe's subscription id
-- $2 jsonb: its items now, [{id, …}]
delete from subscription_items i
 where i.stripe_subscription_id = $1::text
   and not exists (select from jsonb_to_recordset($2::jsonb) as n (id text)
                    where n.id = i.stripe_subscription_item_id)
