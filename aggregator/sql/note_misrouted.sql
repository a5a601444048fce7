-- These entries are in their own streams.
-- $1 int8[] rejected_id
UPDATE rejected_events SET replayed_at = now() WHERE rejected_id = ANY ($1::int8[]) AND replayed_at IS NULL
