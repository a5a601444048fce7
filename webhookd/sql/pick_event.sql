-- Locks the next due event for this transaction. Events of one object are taken in the order of their creation and
-- never side by side: a younger one waits for an older one that is due.
SELECT e.event_id, e.type, e.attempts, e.payload::text,
       (extract(epoch FROM now() - e.received_at) * 1000)::int8 AS waited_ms
  FROM webhook_events e
 WHERE e.state = 'received'
   AND e.next_attempt_at <= now()
   AND NOT EXISTS (
        SELECT FROM webhook_events older
         WHERE older.state = 'received'
           AND older.next_attempt_at <= now()
           AND older.object_id = e.object_id
           AND (older.created_at, older.received_at, older.event_id)
             < (e.created_at, e.received_at, e.event_id))
 ORDER BY e.next_attempt_at, e.created_at
 LIMIT 1
   FOR UPDATE SKIP LOCKED
