-- What the minutes of a day add up to, by metric.
-- $1 timestamptz: when the day ends
SELECT a.metric, count(*) AS rows, sum(a.events)::bigint AS events, trim_scale(sum(a.quantity_sum))::text AS quantity
  FROM usage_aggregates a
 WHERE a.minute_at >= $1::timestamptz - interval '1 day' AND a.minute_at < $1::timestamptz
 GROUP BY a.metric
 ORDER BY a.metric
