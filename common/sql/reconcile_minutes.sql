-- The minutes that we sent of one customer's meter in a period, for whatever tenant, rising.
-- $1 text customer, $2 text event_name, $3 text subscription item or null
-- $4 timestamptz, $5 timestamptz: from, until before
select usage_at, quantity
  from usage_submissions
 where stripe_customer_id = $1 and event_name = $2 and stripe_subscription_item_id is not distinct from $3
   and usage_at >= $4::timestamptz and usage_at < $5::timestamptz and state = 'sent'
 order by usage_at
