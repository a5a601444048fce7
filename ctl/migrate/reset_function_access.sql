-- The statements that set a function's privileges back to those of a new one. No row: there is no such function.
-- $1 text: name
SELECT format('GRANT EXECUTE ON FUNCTION %1$s TO PUBLIC;', p.oid::regprocedure)
       || coalesce((SELECT string_agg(format('REVOKE ALL ON FUNCTION %s FROM %I;', p.oid::regprocedure, r.rolname), '')
                      FROM pg_catalog.aclexplode(p.proacl) a
                      JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
                     WHERE r.rolname LIKE 'meterline\_%'), '') AS statements
  FROM pg_catalog.pg_proc p
 WHERE p.proname = $1 AND p.pronamespace = 'public'::regnamespace
