-- A part of those past their keep, so that no transaction is long: how many; 0: none is left.
-- $1 text: how long rejected entries are kept, an interval
SELECT drop_rejected_events($1::interval, 10000)
