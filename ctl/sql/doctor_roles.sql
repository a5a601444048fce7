-- The roles that stages take, and how many logins may take each (superusers are not counted).
select r.name, exists (select from pg_roles p where p.rolname = r.name) as there,
       (select count(*) from pg_roles l
         where l.rolcanlogin and not l.rolsuper
           and exists (select from pg_roles p where p.rolname = r.name and pg_has_role(l.oid, p.oid, 'MEMBER'))) as logins
  from unnest('{meterline_aggregator,meterline_sink,meterline_webhookd,meterline_ctl}'::text[]) as r (name)
