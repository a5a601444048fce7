-- Locks events that are due for this transaction. The order does not matter for what becomes of them.
-- $1 bigint: at most so many
SELECT e.event_id, e.type, e.attempts, e.payload,
       (extract(epoch FROM now() - e.received_at) * 1000)::int8 AS waited_ms
  FROM webhook_events e
 WHERE e.state = 'received' AND e.next_attempt_at <= now()
 ORDER BY e.next_attempt_at
 LIMIT $1::bigint
   FOR UPDATE SKIP LOCKED
