-- Usage in per cent of the limit, exact to 9 digits. NULL if unlimited or without a quota; 100 for a limit of 0.
CREATE OR REPLACE FUNCTION get_usage_percentage(p_tenant text, p_metric text) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN limit_quantity = 0 THEN 100
                ELSE round(get_window_usage(p_tenant, p_metric) * 100 / limit_quantity, 9) END
      FROM usage_quotas WHERE tenant = p_tenant AND metric = p_metric
$$;

COMMENT ON FUNCTION get_usage_percentage IS
    'Usage of the current window in per cent of the limit; NULL when unlimited.';
