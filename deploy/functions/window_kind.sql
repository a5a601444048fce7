-- What a tenant's limit counts over: period, month or day. A tenant without quotas has those of the plan free.
CREATE OR REPLACE FUNCTION window_kind(p_tenant text, p_metric text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT q.limit_window FROM usage_quotas q WHERE q.tenant = p_tenant AND q.metric = p_metric),
                    (SELECT l.limit_window FROM plan_limits l
                      WHERE l.plan = 'free' AND l.metric = p_metric
                        AND has_free_limits(p_tenant)), 'period')
$$;

COMMENT ON FUNCTION window_kind IS 'What a tenant''s limit of a metric counts over: period, month or day.';
