-- A page of our customers and subscriptions that are not at their end, and that no list of this run had.
-- $1 timestamptz: when the run began
-- $2 text: after this id; NULL: the first page
SELECT x.id, x.kind
  FROM (SELECT stripe_customer_id AS id, 'customer' AS kind FROM stripe_customers WHERE deleted_at IS NULL
        UNION ALL
        SELECT stripe_subscription_id, 'subscription' FROM subscriptions WHERE status NOT IN ('canceled', 'incomplete_expired')) x
 WHERE ($2::text IS NULL OR x.id > $2::text)
   AND NOT EXISTS (SELECT FROM stripe_observations o
                    WHERE o.object_id = x.id AND o.event_id = '' AND o.noted_at >= $1::timestamptz)
 ORDER BY x.id
 LIMIT 50
