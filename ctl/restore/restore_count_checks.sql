-- How many tenants there are to check, and how many were.
-- $1 int8: sink_hold
SELECT count(*), count(checked_at) FROM restore_checks WHERE hold = $1
