-- activation.csv: how far the tenants of each month came.
-- $1 timestamptz: months that began before; NULL: all
SELECT a.cohort, a.place, a.step, a.tenants, a.percent_of_first, a.percent_of_previous, a.median_hours
  FROM rollup_activation a
 WHERE $1::timestamptz IS NULL OR a.cohort < ($1::timestamptz AT TIME ZONE 'UTC')::date
 ORDER BY a.cohort, a.place
