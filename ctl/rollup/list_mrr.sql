-- mrr.csv: recurring revenue a month, by day.
SELECT to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, r.split_by, r.part, r.currency, r.mrr_minor,
       r.customers, r.arpu_minor, r.new_minor, r.reactivation_minor, r.expansion_minor, r.contraction_minor, r.churn_minor,
       r.fx_minor, r.customers_won, r.customers_lost, r.unpriced_subscriptions
  FROM rollup_revenue r
 WHERE r.step = 'day'
 ORDER BY r.at, r.split_by, r.part
