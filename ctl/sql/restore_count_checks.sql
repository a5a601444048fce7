-- How many tenants there are to check, and how many were.
-- $1 int8: sink_hold
select count(*), count(checked_at) from restore_checks where hold = $1
