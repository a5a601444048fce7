-- What was checked for another hold says nothing any more, and without a hold there may be more to check since.
-- $1 int8: sink_hold
DELETE FROM restore_checks WHERE hold <> $1 OR $1 = 0
