-- arr.csv: recurring revenue a year and churn, by month.
SELECT to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, r.split_by, r.part, r.currency, r.arr_minor,
       r.mrr_minor, r.customers, r.customers_won, r.customers_lost, r.logo_churn_percent, r.gross_churn_percent,
       r.net_churn_percent, r.net_retention_percent
  FROM rollup_revenue r
 WHERE r.step = 'month'
 ORDER BY r.at, r.split_by, r.part
