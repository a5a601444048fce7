-- A part of those past their keep, so that no transaction is long: how many; 0: none is left.
-- $1 interval: rejected entries are kept that long
SELECT drop_rejected_events($1::interval, 10000)
