-- How many webhook events are in each state, and how long the oldest has waited, in s.
select s.state, count(e.event_id),
       coalesce(floor(extract(epoch from now() - min(e.received_at)))::bigint, 0) as oldest_s
  from unnest(array['received', 'processed', 'ignored', 'failed']) as s (state)
  left join webhook_events e on e.state = s.state
 group by s.state
