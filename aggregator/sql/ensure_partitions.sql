-- Partitions of raw events for the days ahead; and the size of all.
SELECT ensure_usage_partitions(7), pg_database_size(current_database()) AS bytes
