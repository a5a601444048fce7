-- The minutes that we sent of one customer's meter in a period, for whatever tenant, rising.
-- $1 text customer, $2 text event_name, $3 text subscription item or null
-- $4 timestamptz, $5 timestamptz: from, until before
SELECT usage_at, quantity
  FROM usage_submissions
 WHERE stripe_customer_id = $1 AND event_name = $2 AND stripe_subscription_item_id IS NOT DISTINCT FROM $3
   AND usage_at >= $4::timestamptz AND usage_at < $5::timestamptz AND state = 'sent'
 ORDER BY usage_at
