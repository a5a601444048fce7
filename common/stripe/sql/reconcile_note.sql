-- The first reading of one in doubt.
-- $1 text: identifier
-- $2 numeric: what Stripe holds of it; null for nothing
UPDATE usage_submissions
   SET doubt_quantity = $2::numeric, doubt_read_at = now()
 WHERE identifier = $1 AND state = 'in_doubt'
   AND (doubt_read_at IS NULL
        OR doubt_read_at < coalesce(last_sent_at, first_sent_at, created_at) + interval '2 hours')
