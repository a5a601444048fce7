-- What Stripe sent and waits to be processed, and since when.
SELECT 'webhookd' AS stage, 'webhook_events' AS queue, count(*) AS depth, count(*) AS waiting,
       floor(extract(epoch FROM clock_timestamp() - min(received_at)))::bigint AS oldest_s
  FROM webhook_events
 WHERE state = 'received'
