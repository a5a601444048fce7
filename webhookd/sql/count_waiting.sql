-- How many webhook events wait to be worked, and how long the oldest has waited, in s.
SELECT 'received', count(*),
       coalesce(floor(extract(epoch FROM now() - min(received_at)))::bigint, 0) AS oldest_s
  FROM webhook_events
 WHERE state = 'received'
