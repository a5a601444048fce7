-- How many bodies of webhook events are old enough to be deleted.
-- $1 interval: they are kept that long
SELECT count(*) FROM webhook_events
 WHERE payload IS NOT NULL AND state IN ('processed', 'ignored') AND received_at < now() - $1::interval
