-- billing_period as a range, for places where a row can have only one column.
CREATE OR REPLACE FUNCTION usage_period(p_tenant text, p_at timestamptz) RETURNS tstzrange
LANGUAGE sql STABLE AS $$
    SELECT tstzrange(period_start, period_end) FROM billing_period(p_tenant, p_at)
$$;

COMMENT ON FUNCTION usage_period IS 'The billing period of a tenant that holds a time, as a range.';
