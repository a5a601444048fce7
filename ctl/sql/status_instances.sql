-- The daemons that run, with the age of their heartbeat (every 5 s), and the stages in which nobody does: the sink is needed
-- where something is billed. One that is silent was up until its last heartbeat.
SELECT s.stage, i.host || ':' || i.pid AS instance, coalesce(i.state, 'missing') AS state, i.version,
       floor(extract(epoch FROM clock_timestamp() - i.seen_at))::bigint AS age_s,
       floor(extract(epoch FROM CASE WHEN i.state IN ('silent', 'gone') THEN i.seen_at ELSE clock_timestamp() END
                                - i.started_at))::bigint AS up_s, i.ready,
       CASE WHEN i.instance IS NULL THEN 'no instance runs'
            WHEN i.state = 'silent' THEN 'no heartbeat: it died, or does not reach PostgreSQL'
            WHEN i.state = 'gone' THEN 'no heartbeat, and another one was started in its place'
            ELSE i.reason END AS reason
  FROM (SELECT 'aggregator' AS stage UNION SELECT 'webhookd'
        UNION SELECT 'sink' WHERE EXISTS (SELECT FROM metrics WHERE transport <> 'none' AND retired_at IS NULL)
        UNION SELECT stage FROM stage_instances) s
  LEFT JOIN stage_instance_states i USING (stage)
 ORDER BY array_position(ARRAY['aggregator', 'sink', 'webhookd', 'notifier'], s.stage), s.stage, i.started_at, i.instance
