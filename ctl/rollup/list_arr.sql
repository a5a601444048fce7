-- arr.csv: recurring revenue a year and churn, by month.
-- $1 timestamptz: up to when, full months alone; NULL: all, up to the last rollup
SELECT to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, r.split_by, r.part, r.currency, r.arr_minor,
       r.mrr_minor, r.customers, r.customers_won, r.customers_lost, r.logo_churn_percent, r.gross_churn_percent,
       r.net_churn_percent, r.net_retention_percent
  FROM rollup_revenue r
 WHERE r.step = 'month' AND ($1::timestamptz IS NULL OR (r.at <= $1::timestamptz AND r.at = date_trunc('month', r.at, 'UTC')))
 ORDER BY r.at, r.split_by, r.part
