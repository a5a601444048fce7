-- Puts an event off after a failed try.
-- $1 text: event id
-- $2 text: why
-- $3 bigint: until the next try, in ms
UPDATE webhook_events
   SET error = $2::text, attempts = attempts + 1,
       next_attempt_at = now() + $3::bigint * interval '1 ms'
 WHERE event_id = $1::text AND state = 'received'
