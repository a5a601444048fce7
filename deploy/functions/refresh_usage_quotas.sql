-- Makes a tenant's quotas those of its plan (`free` if it has none) and its own limits.
CREATE OR REPLACE FUNCTION refresh_usage_quotas(p_tenant text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refresh_quotas_of(ARRAY[p_tenant]);
END $$;

COMMENT ON FUNCTION refresh_usage_quotas IS 'Makes a tenant''s quotas those of its plan and its own limits.';
