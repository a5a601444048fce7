-- How many rejected entries are old enough to be deleted.
-- $1 interval: rejected entries are kept that long
SELECT count(*) FROM rejected_events WHERE rejected_at < now() - $1::interval
