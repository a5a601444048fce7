-- The metrics that go to meters.
select metric, stripe_event_name as event_name, aggregation not in ('sum', 'count') as newest
  from metrics
 where retired_at is null and transport in ('meter_events', 'meter_event_stream')
 order by metric
