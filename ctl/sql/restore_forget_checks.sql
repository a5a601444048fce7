-- What was checked for another hold says nothing any more, and without a hold there may be more to check since.
-- $1 int8: sink_hold
delete from restore_checks where hold <> $1 or $1 = 0
