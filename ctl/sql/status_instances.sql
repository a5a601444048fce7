-- The daemons that run, with the age of their heartbeat (every 5 s), and the stages in which nobody does: the sink is needed
-- where something is billed.
select s.stage, i.host || ':' || i.pid as instance,
       case when i.instance is null then 'missing'
            when i.seen_at < clock_timestamp() - interval '20 s' then 'silent'
            when i.ready then 'ready' else 'not_ready' end as state,
       i.version, floor(extract(epoch from clock_timestamp() - i.seen_at))::bigint as age_s,
       floor(extract(epoch from clock_timestamp() - i.started_at))::bigint as up_s, i.ready,
       case when i.instance is null then 'no instance runs'
            when i.seen_at < clock_timestamp() - interval '20 s'
                then 'no heartbeat: it died, or does not reach PostgreSQL'
            else i.reason end as reason
  from (select 'aggregator' as stage union select 'webhookd'
        union select 'sink' where exists (select from metrics where transport <> 'none' and retired_at is null)
        union select stage from stage_instances) s
  left join stage_instances i using (stage)
 order by array_position(array['aggregator', 'sink', 'webhookd'], s.stage), s.stage, i.started_at, i.instance
