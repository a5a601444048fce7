-- $1 interval: raw events are kept that long
SELECT day, events, bytes, kept FROM list_usage_days($1::interval) ORDER BY day
