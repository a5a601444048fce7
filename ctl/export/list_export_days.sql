-- The days to export, oldest first: from one to another, or of both the one that is told, else yesterday. All in UTC.
-- $1 timestamptz: a time in the first day; NULL: not told
-- $2 timestamptz: a time in the last day; NULL: not told
SELECT d::date::text AS day, (d::date + 1)::timestamp AT TIME ZONE 'UTC' AS ends_at
  FROM (SELECT (coalesce($1::timestamptz, $2::timestamptz) AT TIME ZONE 'UTC')::date AS since,
               (coalesce($2::timestamptz, $1::timestamptz) AT TIME ZONE 'UTC')::date AS until,
               (now() AT TIME ZONE 'UTC')::date - 1 AS yesterday) x
 CROSS JOIN LATERAL generate_series(coalesce(x.since, x.yesterday)::timestamp, coalesce(x.until, x.yesterday)::timestamp,
                                    interval '1 day') d
