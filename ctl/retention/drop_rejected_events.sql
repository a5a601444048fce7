-- Delete a part of the rejected entries that are old enough, so that no transaction is long. Returns how many; 0: none
-- is left.
-- $1 interval: rejected entries are kept that long
SELECT drop_rejected_events($1::interval, 10000)
