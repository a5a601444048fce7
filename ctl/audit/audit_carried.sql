-- Of metrics that carry their last value over: totals that are not the last value until the end of their period, and
-- where a value was carried through time that no total holds (missing: from then on); at most 10. Not by carry_totals,
-- which sets them: what counts is not what checks. A period that has just begun is about to be opened.
WITH owned AS MATERIALIZED (
    SELECT t.tenant, t.metric, t.period_start, t.period_end, t.quantity,
           least(now() - interval '10 minutes', m.retired_at) AS until,
           (SELECT max((lpad(to_hex(a.last_ms # (-9223372036854775808)), 16, '0') || encode(a.last_entry, 'hex')
                        || a.quantity_last) COLLATE "C")
              FROM usage_aggregates a
             WHERE a.tenant = t.tenant AND a.metric = t.metric
               AND a.minute_at >= t.period_start AND a.minute_at < t.period_end) AS newest
      FROM usage_totals t
      JOIN metrics m ON m.metric = t.metric AND m.carry
), valued AS (
    SELECT o.*, coalesce(substr(max(o.newest) OVER w, 49)::numeric, 0) AS value,
           coalesce(lead(o.period_start) OVER w, 'infinity') AS next_start
      FROM owned o
    WINDOW w AS (PARTITION BY o.tenant, o.metric ORDER BY o.period_start)
)
SELECT tenant, metric, period_start, trim_scale(quantity) AS quantity, trim_scale(value) AS minutes,
       NULL::boolean AS missing
  FROM valued WHERE quantity <> value
UNION ALL
SELECT tenant, metric, period_end, NULL, trim_scale(value), true
  FROM valued WHERE value <> 0 AND period_end < next_start AND period_end <= until
 ORDER BY 1, 2, 3
 LIMIT 10
