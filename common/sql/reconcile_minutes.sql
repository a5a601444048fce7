-- The minutes that we sent of one customer's metric in a period, rising.
-- $1 text tenant, $2 text metric, $3 text customer, $4 text event_name, $5 text subscription item or null
-- $6 timestamptz, $7 timestamptz: from, until before
select usage_at, quantity
  from usage_submissions
 where tenant = $1 and metric = $2 and stripe_customer_id = $3 and event_name = $4
   and stripe_subscription_item_id is not distinct from $5
   and usage_at >= $6::timestamptz and usage_at < $7::timestamptz and state = 'sent'
 order by usage_at
