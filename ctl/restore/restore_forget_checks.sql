-- Forget checks of another hold, which prove nothing for this one, and of runs without a hold, since there may be more
-- to check now.
-- $1 int8: sink_hold
DELETE FROM restore_checks WHERE hold <> $1 OR $1 = 0
