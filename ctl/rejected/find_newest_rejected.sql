-- Up to where a replay goes: what it makes be rejected once more comes after.
SELECT coalesce(max(rejected_id), 0) FROM rejected_events
