-- Bodies of webhook events that webhookd is about to forget.
-- $1 interval: they are kept that long
SELECT count(*) FROM webhook_events
 WHERE payload IS NOT NULL AND state IN ('processed', 'ignored') AND received_at < now() - $1::interval
