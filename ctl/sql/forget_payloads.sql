-- Drops the bodies of webhook events that were worked long ago, as webhookd does by itself.
-- $1 interval: they are kept that long
with forgotten as (
    update webhook_events set payload = null
     where payload is not null and state in ('processed', 'ignored') and received_at < now() - $1::interval
    returning 1
)
select count(*) from forgotten
