-- Usage in a period, or in the current one if no period is given. 0 if there is none.
CREATE OR REPLACE FUNCTION get_current_usage(p_tenant text, p_metric text, p_period_start timestamptz DEFAULT NULL)
RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT quantity FROM usage_totals
                      WHERE tenant = p_tenant AND metric = p_metric
                        AND period_start = coalesce(p_period_start,
                                (SELECT b.period_start FROM billing_period(p_tenant, now()) b))), 0)
$$;

COMMENT ON FUNCTION get_current_usage IS
    'A tenant''s usage of a metric in a period; without a period, in the current one.';
