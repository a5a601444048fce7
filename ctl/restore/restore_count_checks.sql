-- How many tenants are to be checked, and how many of them are done.
-- $1 int8: sink_hold
SELECT count(*), count(checked_at) FROM restore_checks WHERE hold = $1
