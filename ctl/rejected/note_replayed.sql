-- Note which rejected entries Redis has taken again.
-- $1 bigint[]: rejected entries that Redis has again
UPDATE rejected_events SET replayed_at = now() WHERE rejected_id = ANY ($1::bigint[])
