-- The days of raw events that are old enough, and why one is kept all the same.
-- $1 interval: raw events are kept that long
SELECT day, events, bytes, kept FROM list_usage_days($1::interval) ORDER BY day
