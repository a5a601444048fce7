-- Entries that came to the stream of another shard and are not moved yet, oldest first.
SELECT rejected_id, stream, stream_id, tenant, fields::text
  FROM rejected_events
 WHERE reason = 'wrong_shard' AND replayed_at IS NULL
 ORDER BY rejected_id LIMIT 1000
