-- A time as a person wrote it: a point in time, or an age. If it is neither it fails with class 22, or gives no row.
-- $1 text
SELECT to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  FROM (SELECT CASE WHEN $1::text ~ '^[0-9]{1,6}[smhd]$' THEN now() - $1::text::interval
                    ELSE $1::text::timestamptz END AS at) t
 WHERE isfinite(t.at)
