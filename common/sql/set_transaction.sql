-- What every transaction of ours relies on, whatever the server's, the database's or the login's defaults
-- are, and its role. For this transaction alone: a session may belong to a pooler, which gives it to
-- somebody else after each one. By parameter: a name is never pasted into SQL. The check of the connection
-- ends a statement whose client is gone, so that a passed deadline does not leave it holding locks. Just in
-- time compiling takes seconds where a bad estimate makes the server choose it, more than any statement of
-- ours. What an older server lacks is left out. The isolation is said by BEGIN.
-- $1 text: the role, or null for the login's own
-- $2 text: after how many ms a statement is cut off, 0 for never
SELECT set_config(wanted.name, wanted.setting, true)
  FROM (VALUES ('role', $1), ('synchronous_commit', 'on'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, YMD'),
               ('IntervalStyle', 'postgres'), ('bytea_output', 'hex'), ('extra_float_digits', '1'),
               ('standard_conforming_strings', 'on'), ('array_nulls', 'on'), ('transform_null_equals', 'off'),
               ('row_security', 'on'), ('search_path', 'public'), ('restrict_nonsystem_relation_kind', ''),
               ('statement_timeout', $2), ('lock_timeout', '0'), ('transaction_timeout', '0'),
               ('idle_in_transaction_session_timeout', '0'), ('jit', 'off'),
               ('client_connection_check_interval', '5s')
       ) AS wanted (name, setting)
 WHERE wanted.setting IS NOT NULL AND current_setting(wanted.name, true) IS NOT NULL
