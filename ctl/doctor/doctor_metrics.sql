-- The metrics that are sent to meters.
SELECT metric, stripe_event_name AS event_name, aggregation NOT IN ('sum', 'count') AS newest
  FROM metrics
 WHERE retired_at IS NULL AND transport IN ('meter_events', 'meter_event_stream')
 ORDER BY metric
