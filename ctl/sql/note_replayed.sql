-- $1 bigint[]: rejected entries that Redis has again
update rejected_events set replayed_at = now() where rejected_id = any ($1::bigint[])
