-- How many webhook events wait to be worked, and how long the oldest has waited, in s. An index answers it.
select 'received', count(*),
       coalesce(floor(extract(epoch from now() - min(received_at)))::bigint, 0) as oldest_s
  from webhook_events
 where state = 'received'
