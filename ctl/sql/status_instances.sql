-- The daemons that run, with the age of their heartbeat (every 5 s), and the stages in which nobody does: the sink is needed
-- where something is billed. One that is silent was up until its last heartbeat.
select s.stage, i.host || ':' || i.pid as instance, coalesce(i.state, 'missing') as state, i.version,
       floor(extract(epoch from clock_timestamp() - i.seen_at))::bigint as age_s,
       floor(extract(epoch from case when i.state in ('silent', 'gone') then i.seen_at else clock_timestamp() end
                                - i.started_at))::bigint as up_s, i.ready,
       case when i.instance is null then 'no instance runs'
            when i.state = 'silent' then 'no heartbeat: it died, or does not reach PostgreSQL'
            when i.state = 'gone' then 'no heartbeat, and another one was started in its place'
            else i.reason end as reason
  from (select 'aggregator' as stage union select 'webhookd'
        union select 'sink' where exists (select from metrics where transport <> 'none' and retired_at is null)
        union select stage from stage_instances) s
  left join stage_instance_states i using (stage)
 order by array_position(array['aggregator', 'sink', 'webhookd'], s.stage), s.stage, i.started_at, i.instance
