-- A time as the operator wrote it: a point, or an age. Fails with class 22, or gives NULL, if it is neither.
-- $1 text
SELECT to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  FROM (SELECT CASE WHEN $1::text ~ '^[0-9]{1,6}[smhd]$' THEN now() - $1::text::interval
                    ELSE $1::text::timestamptz END AS at) t
 WHERE isfinite(t.at)
