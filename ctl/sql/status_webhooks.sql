-- Webhook events by state, and the age of the oldest, in s.
select s.state, count(e.state) as count,
       floor(extract(epoch from clock_timestamp() - min(e.received_at)))::bigint as oldest_s
  from unnest(array['received', 'failed', 'processed', 'ignored']) with ordinality as s (state, place)
  left join webhook_events e on e.state = s.state
 group by s.state, s.place
 order by s.place
