-- What can be checked: from low until before high; nothing before unchecked, if that is not NULL. Retention dropped
-- raw events up to there. What is carried over goes on until now. Times are whole minutes.
-- $1 text: one tenant, NULL: all; $2 timestamptz: from; $3 timestamptz: to; both may be NULL
WITH dropped AS (
    SELECT minute_of(max(occurred_max)) + interval '1 minute' AS until FROM usage_batches_dropped
), known AS (
    SELECT least((SELECT min(occurred_min) FROM usage_batches), (SELECT min(minute_at) FROM usage_aggregates)) AS low,
           greatest((SELECT max(occurred_max) FROM usage_batches), (SELECT max(minute_at) FROM usage_aggregates), now())
               + interval '1 minute' AS high
), wanted AS (
    SELECT minute_of(coalesce($2::timestamptz, k.low)) AS low,
           minute_of(coalesce($3::timestamptz + interval '1 minute' - interval '1 microsecond', k.high)) AS high,
           d.until
      FROM known k, dropped d
), clamped AS (
    SELECT greatest(low, until) AS low, high, CASE WHEN low < until THEN least(until, high) END AS unchecked
      FROM wanted
)
SELECT c.low, c.high, c.unchecked, c.low < c.high AS any,
       -- Totals of periods that reach beyond are compared too, so their other minutes are needed.
       least(c.low, min(t.period_start)) AS first, greatest(c.high, max(t.period_end)) AS end
  FROM clamped c
  LEFT JOIN usage_totals t ON t.period_start < c.high AND t.period_end > c.low AND ($1::text IS NULL OR t.tenant = $1::text)
 GROUP BY c.low, c.high, c.unchecked
