-- The first reading of one in doubt.
-- $1 text: identifier
-- $2 numeric: what Stripe holds of it; null for nothing
update usage_submissions
   set doubt_quantity = $2::numeric, doubt_read_at = now()
 where identifier = $1 and state = 'in_doubt'
   and (doubt_read_at is null
        or doubt_read_at < coalesce(last_sent_at, first_sent_at, created_at) + interval '2 hours')
