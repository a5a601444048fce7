-- Days of raw events that may go, the oldest first.
-- $1 text: how long raw events are kept, an interval
SELECT day FROM list_usage_days($1::interval) WHERE kept IS NULL ORDER BY day
