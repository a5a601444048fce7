-- Drops the bodies of events that were worked long ago; a failed one is kept for the person it waits for.
-- $1 bigint: days they are kept
UPDATE webhook_events
   SET payload = NULL
 WHERE payload IS NOT NULL
   AND state IN ('processed', 'ignored')
   AND received_at < now() - $1::bigint * interval '1 day'
