-- What came from Stripe and waits to be worked on, and since when.
select 'webhookd' as stage, 'webhook_events' as queue, count(*) as depth, count(*) as waiting,
       floor(extract(epoch from clock_timestamp() - min(received_at)))::bigint as oldest_s
  from webhook_events
 where state = 'received'
