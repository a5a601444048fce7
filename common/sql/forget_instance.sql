-- This instance ends in peace.
-- $1 text: instance
DELETE FROM stage_instances WHERE instance = $1
