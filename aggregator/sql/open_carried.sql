-- Open the periods that have begun of metrics that carry their last value over: the tenants.
-- $1 int4 of how many metrics of tenants at most
SELECT open_carried_totals($1)
