-- Deletes the payloads of events that were worked long ago. A failed event keeps its own for the person who has to
-- look at it.
-- $1 bigint: how many days payloads are kept
UPDATE webhook_events
   SET payload = NULL
 WHERE payload IS NOT NULL
   AND state IN ('processed', 'ignored')
   AND received_at < now() - $1::bigint * interval '1 day'
