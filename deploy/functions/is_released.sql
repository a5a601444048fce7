CREATE OR REPLACE FUNCTION is_released(p_tenant text, p_hold bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM restore_checks WHERE tenant = p_tenant AND hold = p_hold AND checked_at IS NOT NULL)
$$;

COMMENT ON FUNCTION is_released IS
    'Whether sinks may go on with this tenant while the others are still held after a restore.';
