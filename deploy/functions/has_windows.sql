-- Whether any limit counts over another window than the billing period.
CREATE OR REPLACE FUNCTION has_windows() RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM plan_limits WHERE limit_window <> 'period')
        OR EXISTS (SELECT FROM tenant_limits WHERE limit_window <> 'period')
$$;

COMMENT ON FUNCTION has_windows IS 'Whether any limit counts over another window than the billing period.';
