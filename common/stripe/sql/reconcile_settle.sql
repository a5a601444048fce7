-- What became of one whose outcome was unknown. One that failed so is known by its reading.
-- $1 text: identifier
-- $2 text: its new state
-- $3 text: why
-- $4 text: the state that it must still be in
-- $5 numeric: of one that failed, what Stripe holds or may hold of it; null for nothing
UPDATE usage_submissions
   SET state = $2::text, last_error = $3, owner = NULL, lease_until = NULL, next_attempt_at = now(),
       sent_at = CASE WHEN $2::text = 'sent' THEN now() END,
       doubt_quantity = CASE WHEN $2::text = 'failed' THEN $5::numeric ELSE doubt_quantity END,
       doubt_read_at = CASE WHEN $2::text = 'failed' THEN now() ELSE doubt_read_at END
 WHERE identifier = $1 AND state = $4
