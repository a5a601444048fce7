-- A tenant's usage of a metric by windows of time, as JSON; no row for a metric that there is not.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: from, or NULL for the start of the billing period; $4 timestamptz: to,
-- or NULL for now; $5 text: total, minute, hour, day or month; $6 text: time zone; $7 text: dimension, or NULL;
-- $8 bigint: at most so many windows. Returns the JSON and, without it, the parameter at fault.
WITH asked AS MATERIALIZED (
    SELECT m.metric, m.unit, m.aggregation, m.dimensions,
           date_trunc('minute', coalesce($3::timestamptz, b.period_start)) AS low,
           least(date_trunc('minute', coalesce($4::timestamptz, now()) + interval '59.999999 s'),
                 timestamptz '9999-12-31 23:59:00Z') AS high,   -- RFC 3339 has no later one
           CASE $5::text WHEN 'total' THEN NULL ELSE ('1 ' || $5::text)::interval END AS step
      FROM metrics m
     CROSS JOIN billing_period($1::text, now()) b
     WHERE m.metric = $2::text
), judged AS MATERIALIZED (
    SELECT a.*, CASE WHEN a.high <= a.low THEN 'to'
                     WHEN $7::text IS NOT NULL AND $7::text <> ALL (a.dimensions) THEN 'group_by'
                     WHEN extract(epoch FROM a.high - a.low) > $8::bigint * extract(epoch FROM a.step) THEN 'window' END AS fault
      FROM asked a
), windows AS (
    SELECT j.low AS start_at, j.high AS end_at FROM judged j WHERE j.fault IS NULL AND j.step IS NULL
    UNION ALL
    SELECT greatest(g, j.low), least(g + j.step, j.high)
      FROM judged j
     CROSS JOIN LATERAL generate_series(date_trunc($5::text, j.low, $6::text), j.high - interval '1 us', j.step) g
     WHERE j.fault IS NULL AND $5::text IN ('minute', 'hour')
    UNION ALL   -- days and months as the clocks there count them
    SELECT greatest(g AT TIME ZONE $6::text, j.low), least((g + j.step) AT TIME ZONE $6::text, j.high)
      FROM judged j
     CROSS JOIN LATERAL generate_series(date_trunc($5::text, j.low AT TIME ZONE $6::text),
                                        (j.high - interval '1 us') AT TIME ZONE $6::text, j.step) g
     WHERE j.fault IS NULL AND $5::text IN ('day', 'month')
), rows AS (
    SELECT w.start_at, w.end_at, u.value, u.quantity, u.events
      FROM windows w
     CROSS JOIN judged j
      LEFT JOIN LATERAL (
           SELECT CASE WHEN $7::text IS NOT NULL THEN coalesce(a.dimensions ->> $7::text, '') END AS value,
                  sum(a.events) AS events,
                  CASE j.aggregation WHEN 'sum' THEN sum(a.quantity_sum) WHEN 'count' THEN sum(a.events)
                       WHEN 'max' THEN max(a.quantity_max) WHEN 'unique' THEN count(DISTINCT a.dimensions) FILTER (WHERE a.events > 0)
                       ELSE (array_agg(a.quantity_last ORDER BY a.last_ms DESC, a.last_entry DESC))[1] END AS quantity
             FROM usage_aggregates a
            WHERE a.tenant = $1::text AND a.metric = $2::text AND a.minute_at >= w.start_at AND a.minute_at < w.end_at
            GROUP BY 1) u ON true
     WHERE w.start_at < w.end_at AND ($7::text IS NULL OR u.value IS NOT NULL)
)
SELECT json_build_object(
           'tenant', $1::text, 'metric', j.metric, 'unit', j.unit, 'aggregation', j.aggregation, 'from', j.low, 'to', j.high,
           'window', $5::text, 'timezone', $6::text, 'group_by', $7::text,
           'windows', coalesce((
               SELECT json_agg(json_build_object(
                          'start', r.start_at, 'end', r.end_at, 'value', r.value, 'events', coalesce(r.events, 0),
                          'quantity', trim_scale(coalesce(r.quantity, CASE WHEN j.aggregation NOT IN ('max', 'last') THEN 0 END))::text)
                          ORDER BY r.start_at, r.value)
                 FROM rows r), '[]')),
       j.fault
  FROM judged j
