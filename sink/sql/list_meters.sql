-- Event names that usage is sent to meters by, and what counts of it; rank 2: still waits to be sent, by a name that the
-- catalog has no more.
-- $1 bool: those too, at the price of a look at all that waits
SELECT DISTINCT ON (event_name) event_name, metric, newest, rank
  FROM (SELECT stripe_event_name AS event_name, metric, aggregation NOT IN ('sum', 'count') AS newest, 1 AS rank
          FROM metrics
         WHERE transport IN ('meter_events', 'meter_event_stream') AND retired_at IS NULL
         UNION ALL
        SELECT s.event_name, s.metric, m.aggregation NOT IN ('sum', 'count'), 2
          FROM (SELECT DISTINCT event_name, metric FROM usage_submissions
                 WHERE state IN ('pending', 'sending') AND transport <> 'usage_records' AND $1::bool) s
          JOIN metrics m USING (metric)) AS n
 ORDER BY event_name, rank
