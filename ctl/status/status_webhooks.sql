-- Webhook events by state, and the age of the oldest, in s.
SELECT s.state, count(e.state) AS count,
       floor(extract(epoch FROM clock_timestamp() - min(e.received_at)))::bigint AS oldest_s
  FROM unnest(ARRAY['received', 'failed', 'processed', 'ignored']) WITH ORDINALITY AS s (state, place)
  LEFT JOIN webhook_events e ON e.state = s.state
 GROUP BY s.state, s.place
 ORDER BY s.place
