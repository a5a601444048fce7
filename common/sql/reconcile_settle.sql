-- What became of one whose outcome was unknown. One that failed so is known by its reading.
-- $1 text: identifier
-- $2 text: its new state
-- $3 text: why
-- $4 text: the state that it must still be in
-- $5 numeric: of one that failed, what Stripe holds or may hold of it; null for nothing
update usage_submissions
   set state = $2::text, last_error = $3, owner = null, lease_until = null, next_attempt_at = now(),
       sent_at = case when $2::text = 'sent' then now() end,
       doubt_quantity = case when $2::text = 'failed' then $5::numeric else doubt_quantity end,
       doubt_read_at = case when $2::text = 'failed' then now() else doubt_read_at end
 where identifier = $1 and state = $4
