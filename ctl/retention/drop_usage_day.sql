-- Drop a day of raw events. Returns how many events it had; NULL: the day is kept.
-- $1 date: the day; $2 interval: raw events are kept that long
SELECT drop_usage_day($1::date, $2::interval)
