-- What the database says of itself. offset_ms: its clock, less ours.
-- $1 bigint: our time, Unix ms
select (select max(version) from schema_migrations) as version,
       (extract(epoch from clock_timestamp()) * 1000)::bigint - $1::bigint as offset_ms,
       current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit,
       pg_is_in_recovery() as standby, pg_backend_pid() as pid, session_user as login,
       (select rolsuper from pg_roles where rolname = session_user) as is_superuser
