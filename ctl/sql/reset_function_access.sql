-- The statements that set a function's access back to what a new one has; no row: there is none of that name.
-- $1 text: name
select format('GRANT EXECUTE ON FUNCTION %1$s TO PUBLIC;', p.oid::regprocedure)
       || coalesce((select string_agg(format('REVOKE ALL ON FUNCTION %s FROM %I;', p.oid::regprocedure, r.rolname), '')
                      from pg_catalog.aclexplode(p.proacl) a
                      join pg_catalog.pg_roles r on r.oid = a.grantee
                     where r.rolname like 'meterline\_%'), '') as statements
  from pg_catalog.pg_proc p
 where p.proname = $1 and p.pronamespace = 'public'::regnamespace
