-- What moved recurring revenue between one time and another, in minor units, each rounded once, half away from zero;
-- rounding_minor is what that leaves: before + new + reactivation + expansion - contraction - churn + fx + rounding = after.
-- Shares are of the exact sums, in per cent. logo churn: of the customers at the beginning, those lost; gross churn:
-- contraction and churn of the revenue at the beginning; net churn: less expansion; net retention: what is left with it.
-- net_churn_reactivated_percent: the same less reactivation, as some count it. Split as by revenue_series().
CREATE OR REPLACE FUNCTION revenue_movements(p_from timestamptz, p_to timestamptz, p_currency text DEFAULT NULL,
                                             p_split_by text DEFAULT NULL)
RETURNS TABLE (part text, currency text, before_minor numeric, new_minor numeric, reactivation_minor numeric,
               expansion_minor numeric, contraction_minor numeric, churn_minor numeric, fx_minor numeric,
               rounding_minor numeric, after_minor numeric, customers_before bigint, customers_won bigint,
               customers_lost bigint, customers_after bigint, logo_churn_percent numeric, gross_churn_percent numeric,
               net_churn_percent numeric, net_churn_reactivated_percent numeric, net_retention_percent numeric)
LANGUAGE sql STABLE AS $$
    SELECT x.part, x.currency, x.before_minor, x.new_minor, x.reactivation_minor, x.expansion_minor, x.contraction_minor,
           x.churn_minor, x.fx_minor, x.rounding_minor, x.mrr_minor, x.customers_before, x.customers_won, x.customers_lost,
           x.customers, x.logo_churn_percent, x.gross_churn_percent, x.net_churn_percent, x.net_churn_reactivated_percent,
           x.net_retention_percent
      FROM revenue_figures(ARRAY[p_from, p_to], p_currency, p_split_by) x
     WHERE x.at = p_to
$$;

COMMENT ON FUNCTION revenue_movements IS 'What moved recurring revenue between two times, and the rates of churn.';
