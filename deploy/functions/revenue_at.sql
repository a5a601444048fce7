-- Recurring revenue at a time, in minor units: exactly, and rounded once, half away from zero. Split as by revenue_series().
CREATE OR REPLACE FUNCTION revenue_at(p_at timestamptz DEFAULT now(), p_currency text DEFAULT NULL, p_split_by text DEFAULT NULL)
RETURNS TABLE (part text, currency text, mrr fraction, mrr_minor numeric, arr_minor numeric, customers bigint,
               arpu_minor numeric, unpriced bigint)
LANGUAGE sql STABLE AS $$
    SELECT s.part, s.currency, s.mrr, fraction_round(s.mrr), fraction_round(s.mrr, 12), s.customers,
           CASE WHEN s.customers > 0 THEN fraction_round(ROW((s.mrr).numerator, (s.mrr).denominator * s.customers)::fraction) END,
           s.unpriced
      FROM revenue_series(ARRAY[p_at], p_currency, p_split_by) s
$$;

COMMENT ON FUNCTION revenue_at IS 'Recurring revenue at a time: monthly, a year, customers, and what each pays on average.';
