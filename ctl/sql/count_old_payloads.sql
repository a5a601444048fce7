-- Bodies of webhook events that webhookd is about to forget.
-- $1 interval: they are kept that long
select count(*) from webhook_events
 where payload is not null and state in ('processed', 'ignored') and received_at < now() - $1::interval
