-- Changes that a new catalog may not make to existing metrics, a row each in plain words. Another aggregation, or
-- starting or ceasing to carry over, would make totals mean two things. An event name stays with what was sent by it.
-- $1 json: rows of metrics
WITH wanted AS (
    SELECT *
      FROM json_to_recordset($1::json) AS x (metric text, aggregation text, carry boolean, stripe_event_name text)
)
SELECT format('metric %s: its aggregation is %s and it has usage; '
              'name a new metric instead of making it %s', m.metric, m.aggregation, w.aggregation)
  FROM wanted w
  JOIN metrics m USING (metric)
 WHERE m.aggregation <> w.aggregation
   AND (EXISTS (SELECT FROM usage_aggregates a WHERE a.metric = m.metric)
        OR EXISTS (SELECT FROM usage_totals t WHERE t.metric = m.metric))
UNION ALL
SELECT format('metric %s: it has usage and %s; name a new metric instead of making it one that does%s', m.metric,
              CASE WHEN m.carry THEN 'carries its last value over' ELSE 'does not carry its last value over' END,
              CASE WHEN m.carry THEN ' not' ELSE '' END)
  FROM wanted w
  JOIN metrics m USING (metric)
 WHERE m.aggregation = w.aggregation AND m.carry <> w.carry
   AND (EXISTS (SELECT FROM usage_aggregates a WHERE a.metric = m.metric)
        OR EXISTS (SELECT FROM usage_totals t WHERE t.metric = m.metric))
UNION ALL
SELECT format('metric %s: its stripe_event_name %s belongs to the metric %s in the database',
              w.metric, w.stripe_event_name, m.metric)
  FROM wanted w
  JOIN metrics m ON m.stripe_event_name = w.stripe_event_name AND m.metric <> w.metric
