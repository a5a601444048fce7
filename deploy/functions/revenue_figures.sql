-- revenue_series() as people read it: rounded once, half away from zero, with what follows from it. What the columns mean is
-- told by revenue_movements(); in the first row those that compare are NULL.
CREATE OR REPLACE FUNCTION revenue_figures(p_times timestamptz[], p_currency text DEFAULT NULL, p_split_by text DEFAULT NULL)
RETURNS TABLE (at timestamptz, part text, currency text, mrr_minor numeric, arr_minor numeric, customers bigint,
               arpu_minor numeric, unpriced bigint, before_minor numeric, new_minor numeric, reactivation_minor numeric,
               expansion_minor numeric, contraction_minor numeric, churn_minor numeric, fx_minor numeric,
               rounding_minor numeric, customers_before bigint, customers_won bigint, customers_lost bigint,
               logo_churn_percent numeric, gross_churn_percent numeric, net_churn_percent numeric,
               net_churn_reactivated_percent numeric, net_retention_percent numeric)
LANGUAGE sql STABLE AS $$
    WITH s AS MATERIALIZED (
        SELECT r.*, lag(r.mrr) OVER w AS before, lag(r.customers) OVER w AS customers_before
          FROM revenue_series(p_times, p_currency, p_split_by) r
        WINDOW w AS (PARTITION BY r.part ORDER BY r.at)
    )
    SELECT s.at, s.part, s.currency, fraction_round(s.mrr), fraction_round(s.mrr, 12), s.customers,
           CASE WHEN s.customers > 0 THEN fraction_round(ROW((s.mrr).numerator, (s.mrr).denominator * s.customers)::fraction) END,
           s.unpriced, fraction_round(s.before), fraction_round(s.new), fraction_round(s.reactivation),
           fraction_round(s.expansion), fraction_round(s.contraction), fraction_round(s.churn), fraction_round(s.fx),
           fraction_round(s.mrr) - fraction_round(s.before) - fraction_round(s.new) - fraction_round(s.reactivation)
           - fraction_round(s.expansion) + fraction_round(s.contraction) + fraction_round(s.churn) - fraction_round(s.fx),
           s.customers_before, s.customers_won, s.customers_lost,
           fraction_percent(ROW(s.customers_lost, 1)::fraction, ROW(s.customers_before, 1)::fraction),
           fraction_percent(fraction_sum(ARRAY[s.contraction, s.churn]), s.before),
           fraction_percent(fraction_sum(ARRAY[s.contraction, s.churn, minus.expansion]), s.before),
           fraction_percent(fraction_sum(ARRAY[s.contraction, s.churn, minus.expansion, minus.reactivation]), s.before),
           fraction_percent(fraction_sum(ARRAY[s.before, s.expansion, minus.contraction, minus.churn]), s.before)
      FROM s
     CROSS JOIN LATERAL (SELECT ROW(-(s.expansion).numerator, (s.expansion).denominator)::fraction AS expansion,
                                ROW(-(s.reactivation).numerator, (s.reactivation).denominator)::fraction AS reactivation,
                                ROW(-(s.contraction).numerator, (s.contraction).denominator)::fraction AS contraction,
                                ROW(-(s.churn).numerator, (s.churn).denominator)::fraction AS churn) minus
     ORDER BY s.at, s.part
$$;

COMMENT ON FUNCTION revenue_figures IS 'Recurring revenue at each of these times with what follows from it, as people read it.';
