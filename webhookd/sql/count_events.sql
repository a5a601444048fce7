-- How many webhook events are in each state, and how long the oldest of each has waited, in s.
SELECT s.state, coalesce(e.n, 0), coalesce(floor(extract(epoch FROM now() - e.oldest_at))::bigint, 0) AS oldest_s
  FROM unnest(ARRAY['received', 'processed', 'ignored', 'failed']) AS s (state)
  LEFT JOIN (SELECT state, count(*) AS n, min(received_at) AS oldest_at FROM webhook_events WHERE state <> 'received' GROUP BY state
             UNION ALL
             SELECT state, count(*), min(received_at) FROM webhook_events WHERE state = 'received' GROUP BY state) e USING (state)
