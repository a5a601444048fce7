-- The days with usage, cut where checking begins and ends. since: the first day of a commit that holds usage of that
-- time.
-- $1 timestamptz: first; $2 timestamptz: end; $3 timestamptz: low; $4 timestamptz: high. Checked is from low until before high.
WITH commits AS MATERIALIZED (
    SELECT day, max(occurred_max) AS newest FROM usage_batches GROUP BY day
), days AS (
    SELECT DISTINCT date_trunc('day', minute_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day
      FROM usage_aggregates
     WHERE minute_at >= $1::timestamptz AND minute_at < $2::timestamptz
    UNION
    SELECT to_timestamp(0) + d.day * interval '86400 s'
      FROM (SELECT DISTINCT floor(unnest(occurred_ms) / 86400000::numeric)::bigint AS day
              FROM usage_batches
             WHERE occurred_min < $4::timestamptz AND occurred_max >= $3::timestamptz) d
), edges AS (
    SELECT greatest(day, $1::timestamptz) AS low, least(day + interval '86400 s', $2::timestamptz) AS high FROM days
), pieces AS (
    SELECT low, least(high, $3::timestamptz) AS high, false AS checked FROM edges
    UNION ALL
    SELECT greatest(low, $3::timestamptz), least(high, $4::timestamptz), true FROM edges
    UNION ALL
    SELECT greatest(low, $4::timestamptz), high, false FROM edges
)
SELECT low, high, checked,
       coalesce((SELECT min(c.day) FROM commits c WHERE c.newest >= pieces.low), '-infinity') AS since
  FROM pieces
 WHERE low < high
 ORDER BY low
