-- Partitions of raw events for the days ahead.
SELECT ensure_usage_partitions(7)
