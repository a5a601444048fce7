-- The roles that stages take, and how many logins may take each (superusers are not counted).
SELECT r.name, EXISTS (SELECT FROM pg_roles p WHERE p.rolname = r.name) AS there,
       (SELECT count(*) FROM pg_roles l
         WHERE l.rolcanlogin AND NOT l.rolsuper
           AND EXISTS (SELECT FROM pg_roles p WHERE p.rolname = r.name AND pg_has_role(l.oid, p.oid, 'MEMBER'))) AS logins
  FROM unnest('{meterline_aggregator,meterline_sink,meterline_webhookd,meterline_notifier,meterline_ctl}'::text[]) AS r (name)
