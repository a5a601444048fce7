-- Take over the tenants that are left; a run that still works on them ends.
-- $1 int8: sink_hold, $2 uuid: owner
WITH mine AS (
    UPDATE restore_checks SET owner = $2 WHERE hold = $1 AND checked_at IS NULL RETURNING tenant
)
SELECT tenant FROM mine ORDER BY tenant
