-- activation.csv: how far the tenants of each month came.
SELECT a.cohort, a.place, a.step, a.tenants, a.percent_of_first, a.percent_of_previous, a.median_hours
  FROM rollup_activation a
 ORDER BY a.cohort, a.place
