-- usage/DAY.csv: the minutes of a day in UTC.
-- $1 timestamptz: when the day ends
SELECT a.tenant, a.metric, a.dimensions, to_char(a.minute_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS minute_at,
       a.events, trim_scale(a.quantity_sum) AS quantity_sum, trim_scale(a.quantity_min) AS quantity_min,
       trim_scale(a.quantity_max) AS quantity_max, trim_scale(a.quantity_last) AS quantity_last
  FROM usage_aggregates a
 WHERE a.minute_at >= $1::timestamptz - interval '1 day' AND a.minute_at < $1::timestamptz
 ORDER BY a.tenant, a.metric, a.minute_at, a.dimensions
