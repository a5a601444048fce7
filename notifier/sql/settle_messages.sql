-- What became of attempts. That a message was taken is true whoever says so; any other outcome counts only if nobody has
-- tried the message since.
-- $1 text: channel
-- $2 text[] message_id, $3 int8[] attempts, $4 text[] state, $5 int8[] wait before the next attempt, ms, $6 text[] error
UPDATE outgoing_messages m
   SET state = o.state, lease_until = NULL, error = o.error,
       next_attempt_at = CASE WHEN o.state = 'waiting' THEN now() + o.wait_ms * interval '1 ms' ELSE m.next_attempt_at END,
       sent_at = CASE WHEN o.state = 'sent' THEN now() END
  FROM unnest($2::text[], $3::int8[], $4::text[], $5::int8[], $6::text[]) AS o (message_id, attempts, state, wait_ms, error)
 WHERE m.channel = $1 AND m.message_id = o.message_id AND m.state <> 'sent'
   AND (o.state = 'sent' OR (m.state = 'waiting' AND m.attempts = o.attempts))
