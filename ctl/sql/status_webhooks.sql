-- Webhook events by state, and the age of the oldest, in s.
select state, count(*) as count,
       floor(extract(epoch from clock_timestamp() - min(received_at)))::bigint as oldest_s
  from webhook_events
 group by state
 order by array_position(array['received', 'failed', 'processed', 'ignored'], state)
