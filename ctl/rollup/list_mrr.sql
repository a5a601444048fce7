-- mrr.csv: recurring revenue a month, by day.
-- $1 timestamptz: up to when, full days alone; NULL: all, up to the last rollup
SELECT to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, r.split_by, r.part, r.currency, r.mrr_minor,
       r.customers, r.arpu_minor, r.new_minor, r.reactivation_minor, r.expansion_minor, r.contraction_minor, r.churn_minor,
       r.fx_minor, r.customers_won, r.customers_lost, r.unpriced_subscriptions
  FROM rollup_revenue r
 WHERE r.step = 'day' AND ($1::timestamptz IS NULL OR (r.at <= $1::timestamptz AND r.at = date_trunc('day', r.at, 'UTC')))
 ORDER BY r.at, r.split_by, r.part
