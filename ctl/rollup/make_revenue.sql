-- The rollup of revenue: at the end of each day and month from a time on, and now; whole, by plan and by currency.
-- $1 timestamptz: that time
-- $2 text: the currency of the sums; NULL: reporting_currency()
INSERT INTO rollup_revenue (step, at, split_by, part, currency, mrr_minor, arr_minor, customers, arpu_minor,
       unpriced_subscriptions, new_minor, reactivation_minor, expansion_minor, contraction_minor, churn_minor, fx_minor,
       customers_won, customers_lost, logo_churn_percent, gross_churn_percent, net_churn_percent, net_retention_percent)
SELECT k.step, f.at, coalesce(s.split_by, ''), f.part, f.currency, f.mrr_minor, f.arr_minor, f.customers, f.arpu_minor,
       f.unpriced, f.new_minor, f.reactivation_minor, f.expansion_minor, f.contraction_minor, f.churn_minor, f.fx_minor,
       f.customers_won, f.customers_lost, f.logo_churn_percent, f.gross_churn_percent, f.net_churn_percent, f.net_retention_percent
  FROM (VALUES ('day'), ('month')) k (step)
 CROSS JOIN (VALUES (NULL), ('plan'), ('currency')) s (split_by)
 CROSS JOIN LATERAL revenue_figures(revenue_times(date_trunc(k.step, $1::timestamptz, 'UTC') - ('1 ' || k.step)::interval,
                                                  now(), k.step), $2::text, s.split_by) f
 WHERE f.before_minor IS NOT NULL AND f.at >= $1::timestamptz
