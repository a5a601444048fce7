-- What was checked for another hold says nothing any more.
-- $1 int8: sink_hold
delete from restore_checks where hold <> $1
