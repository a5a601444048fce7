-- Recurring revenue at each time of a series, and what moved it since the one before.
-- $1 timestamptz: the first time
-- $2 timestamptz: the last one
-- $3 text: day, week or month: how far apart they are
-- $4 text: the currency of the sums; NULL: reporting_currency()
-- $5 text: plan or currency: a row for each; NULL: all of it in one
SELECT f.at, CASE WHEN $5::text = 'plan' THEN NULLIF(f.part, '') END AS plan, f.currency,
       major_units(f.mrr_minor, f.currency) AS mrr, f.mrr_minor::bigint, major_units(f.arr_minor, f.currency) AS arr,
       f.arr_minor::bigint, f.customers, major_units(f.arpu_minor, f.currency) AS arpu, f.arpu_minor::bigint,
       f.unpriced AS unpriced_subscriptions, major_units(f.new_minor, f.currency) AS new, f.new_minor::bigint,
       major_units(f.reactivation_minor, f.currency) AS reactivation, f.reactivation_minor::bigint,
       major_units(f.expansion_minor, f.currency) AS expansion, f.expansion_minor::bigint,
       major_units(f.contraction_minor, f.currency) AS contraction, f.contraction_minor::bigint,
       major_units(f.churn_minor, f.currency) AS churn, f.churn_minor::bigint, major_units(f.fx_minor, f.currency) AS fx,
       f.fx_minor::bigint, f.rounding_minor::bigint, f.customers_before, f.customers_won AS won, f.customers_lost AS lost,
       f.logo_churn_percent, f.gross_churn_percent, f.net_churn_percent, f.net_churn_reactivated_percent, f.net_retention_percent
  FROM revenue_figures(revenue_times($1::timestamptz, $2::timestamptz, $3::text), $4::text, $5::text) f
 ORDER BY f.at, f.part
