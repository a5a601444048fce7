-- Takes messages that are due and go to one place, the longest due first.
-- $1 text: channel
-- $2 int8: so many at most
-- $3 int8: how long they are this process's to send, ms
WITH due AS (
    SELECT message_id
      FROM outgoing_messages
     WHERE channel = $1 AND state = 'waiting' AND next_attempt_at <= now()
       AND (lease_until IS NULL OR lease_until <= now())
     ORDER BY next_attempt_at, occurred_at, message_id LIMIT $2
       FOR UPDATE SKIP LOCKED),
taken AS (
    UPDATE outgoing_messages m
       SET lease_until = now() + $3 * interval '1 ms', attempts = m.attempts + 1
      FROM due
     WHERE m.channel = $1 AND m.message_id = due.message_id
    RETURNING m.*)
SELECT message_id, tenant, kind, destination, data::text, occurred_at, attempts::int8,
       floor(1000 * extract(epoch FROM now() - waiting_since))::int8 AS waited_ms, created_at, 0::int8 AS failures,
       NULL::text AS secret
  FROM taken
 ORDER BY next_attempt_at, occurred_at, message_id
