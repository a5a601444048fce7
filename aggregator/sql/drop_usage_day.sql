-- How many events were dropped with the day; NULL: it is needed all the same.
-- $1 text: the day; $2 text: how long raw events are kept, an interval
SELECT drop_usage_day($1::date, $2::interval)
