-- Drops the bodies of events that were worked long ago; a failed one is kept for the person it waits for.
-- $1 bigint: days they are kept
update webhook_events
   set payload = null
 where payload is not null
   and state in ('processed', 'ignored')
   and received_at < now() - $1::bigint * interval '1 day'
