-- Webhook events by state, and the age of the oldest, in s.
SELECT s.state, coalesce(e.n, 0) AS count, floor(extract(epoch FROM clock_timestamp() - e.oldest_at))::bigint AS oldest_s
  FROM unnest(ARRAY['received', 'failed', 'processed', 'ignored']) WITH ORDINALITY AS s (state, place)
  LEFT JOIN (SELECT state, count(*) AS n, min(received_at) AS oldest_at FROM webhook_events WHERE state <> 'received' GROUP BY state
             UNION ALL
             SELECT state, count(*), min(received_at) FROM webhook_events WHERE state = 'received' GROUP BY state) e USING (state)
 ORDER BY s.place
