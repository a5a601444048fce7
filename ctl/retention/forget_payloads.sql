-- Delete the bodies of webhook events that were processed long ago, as webhookd does by itself.
-- $1 interval: they are kept that long
WITH forgotten AS (
    UPDATE webhook_events SET payload = NULL
     WHERE payload IS NOT NULL AND state IN ('processed', 'ignored') AND received_at < now() - $1::interval
    RETURNING 1
)
SELECT count(*) FROM forgotten
