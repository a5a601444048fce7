-- What PostgreSQL says about itself. offset_ms: its clock minus ours.
-- $1 bigint: our time, Unix ms
SELECT (SELECT max(version) FROM schema_migrations) AS version,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint AS offset_ms,
       current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
       pg_is_in_recovery() AS standby, pg_backend_pid() AS pid, session_user AS login,
       (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS is_superuser
