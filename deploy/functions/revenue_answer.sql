-- Recurring revenue as the API tells it: {"rows": […]}, or {"fault", "param"} where it cannot be told, such as for want of an
-- exchange rate. p_step NULL: at p_to alone, with what moved it in the 30 days before; else a series from p_from on.
CREATE OR REPLACE FUNCTION revenue_answer(p_from timestamptz, p_to timestamptz, p_step text, p_currency text, p_split_by text)
RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    times timestamptz[] := ARRAY[p_to - interval '30 days', p_to];
    rows jsonb;
BEGIN
    IF p_split_by = 'currency' AND p_currency IS NOT NULL THEN
        RETURN jsonb_build_object('fault', 'split by currency each is told in itself: leave currency out', 'param',
        'currency');
    ELSIF p_step IS NOT NULL AND p_from >= p_to THEN
        RETURN jsonb_build_object('fault', 'the series must end after it begins', 'param', 'to');
    ELSIF p_step IS NOT NULL AND p_from < p_to - 1000 * ('1 ' || p_step)::interval THEN
        RETURN jsonb_build_object('fault', 'a series has up to 1000 steps', 'param', 'step');
    ELSIF p_step IS NOT NULL THEN
        times := revenue_times(p_from, p_to, p_step);
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'at', f.at, 'plan', CASE WHEN p_split_by = 'plan' THEN NULLIF(f.part, '') END, 'currency', f.currency,
               'mrr', shown_amount(to_jsonb(f.mrr_minor), f.currency),
               'arr', shown_amount(to_jsonb(f.arr_minor), f.currency), 'customers', f.customers,
               'arpu', shown_amount(to_jsonb(f.arpu_minor), f.currency),
               'unpriced_subscriptions', f.unpriced,
               'moved', CASE WHEN f.before_minor IS NOT NULL THEN jsonb_build_object(
                   'before', shown_amount(to_jsonb(f.before_minor), f.currency),
                   'new', shown_amount(to_jsonb(f.new_minor), f.currency),
                   'reactivation', shown_amount(to_jsonb(f.reactivation_minor), f.currency),
                   'expansion', shown_amount(to_jsonb(f.expansion_minor), f.currency),
                   'contraction', shown_amount(to_jsonb(f.contraction_minor), f.currency),
                   'churn', shown_amount(to_jsonb(f.churn_minor), f.currency),
                   'fx', shown_amount(to_jsonb(f.fx_minor), f.currency),
                   'rounding', shown_amount(to_jsonb(f.rounding_minor), f.currency),
                   'customers_before', f.customers_before, 'customers_won', f.customers_won,
                   'customers_lost', f.customers_lost, 'logo_churn_percent', f.logo_churn_percent::text,
                   'gross_churn_percent', f.gross_churn_percent::text, 'net_churn_percent', f.net_churn_percent::text,
                   'net_churn_reactivated_percent', f.net_churn_reactivated_percent::text,
                   'net_retention_percent', f.net_retention_percent::text) END) ORDER BY f.at, f.part), '[]')
      INTO rows
      FROM revenue_figures(times, p_currency, p_split_by) f
     WHERE p_step IS NOT NULL OR f.at = p_to;
    RETURN jsonb_build_object('rows', rows);
EXCEPTION WHEN no_data_found THEN
    RETURN jsonb_build_object('fault', SQLERRM, 'param', 'currency');
END $$;

COMMENT ON FUNCTION revenue_answer IS 'Recurring revenue as the API tells it.';
