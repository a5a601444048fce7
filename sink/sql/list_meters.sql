-- Event names that usage is sent to meters by, and what counts of it; rank 2: still waits to be sent, by a name that the
-- catalog has no more.
-- $1 bool: those too, at the price of a look at all that waits
select distinct on (event_name) event_name, metric, newest, rank
  from (select stripe_event_name as event_name, metric, aggregation not in ('sum', 'count') as newest, 1 as rank
          from metrics
         where transport in ('meter_events', 'meter_event_stream') and retired_at is null
         union all
        select s.event_name, s.metric, m.aggregation not in ('sum', 'count'), 2
          from (select distinct event_name, metric from usage_submissions
                 where state in ('pending', 'sending') and transport <> 'usage_records' and $1::bool) s
          join metrics m using (metric)) as n
 order by event_name, rank
