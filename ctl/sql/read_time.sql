-- A time as the operator wrote it: a point, or an age. Fails with class 22, or gives NULL, if it is neither.
-- $1 text
select to_char(t.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  from (select case when $1::text ~ '^[0-9]{1,6}[smhd]$' then now() - $1::text::interval
                    else $1::text::timestamptz end as at) t
 where isfinite(t.at)
