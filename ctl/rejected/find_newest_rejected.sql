-- The newest rejected entry when a replay begins. Entries that the replay causes to be rejected again come after it.
SELECT coalesce(max(rejected_id), 0) FROM rejected_events
