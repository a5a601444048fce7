-- Makes due what was put off because Stripe could not be asked. What another worker has picked is left alone.
UPDATE webhook_events w
   SET next_attempt_at = now()
  FROM (SELECT event_id FROM webhook_events
         WHERE state = 'received' AND next_attempt_at > now() AND error LIKE 'fetch from Stripe: %'
           FOR UPDATE SKIP LOCKED) d
 WHERE w.event_id = d.event_id
