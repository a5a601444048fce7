-- Up to where a replay goes: what it makes be rejected once more comes after.
select coalesce(max(rejected_id), 0) from rejected_events
