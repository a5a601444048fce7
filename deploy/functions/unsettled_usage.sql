-- What a tenant has used and Stripe has not taken yet, of periods that an invoice can still bill, by metric: waiting to be
-- claimed, waiting to be sent, or why it cannot be.
CREATE OR REPLACE FUNCTION unsettled_usage(p_tenant text) RETURNS TABLE (metric text, reason text, quantity numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT u.metric, u.reason, sum(u.quantity)
      FROM usage_unbilled u
     WHERE u.tenant = p_tenant AND u.reason IN ('waiting', 'not_compared', 'too_large', 'unmapped')
       AND u.period_end > now() - interval '1 hour'
     GROUP BY u.metric, u.reason
    UNION ALL
    SELECT s.metric, s.state, sum(s.quantity)
      FROM usage_submissions s
     WHERE s.tenant = p_tenant AND s.state IN ('pending', 'sending', 'held', 'failed', 'in_doubt')
       AND s.decision IS DISTINCT FROM 'drop' AND s.usage_at > now() - interval '40 days'
     GROUP BY s.metric, s.state
     ORDER BY 1, 2
$$;

COMMENT ON FUNCTION unsettled_usage IS 'What a tenant has used and Stripe does not have yet.';
REVOKE ALL ON FUNCTION unsettled_usage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unsettled_usage TO meterline_api, meterline_ctl;
