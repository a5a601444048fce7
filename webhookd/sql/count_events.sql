-- How many webhook events are in each state, and how long the oldest of each has waited, in s.
SELECT s.state, count(e.event_id),
       coalesce(floor(extract(epoch FROM now() - min(e.received_at)))::bigint, 0) AS oldest_s
  FROM unnest(ARRAY['received', 'processed', 'ignored', 'failed']) AS s (state)
  LEFT JOIN webhook_events e ON e.state = s.state
 GROUP BY s.state
