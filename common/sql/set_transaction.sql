-- What every transaction of ours relies on, whatever the server's or the login's defaults are, and
-- its role. For this transaction alone: a session may belong to a pooler, which gives it to somebody
-- else after each one. By parameter: a name is never pasted into SQL. The check of the connection ends
-- a statement whose client is gone, so that a passed deadline does not leave it holding locks; servers
-- before 14 lack it. Just in time compiling takes seconds where a bad estimate makes the server choose
-- it, more than any statement of ours.
-- $1 text: the role, or null for the login's own
-- $2 text: after how many ms a statement is cut off, 0 for never
select set_config(wanted.name, wanted.setting, true)
  from (values ('role', $1), ('synchronous_commit', 'on'), ('TimeZone', 'UTC'),
               ('search_path', 'public'), ('statement_timeout', $2),
               ('jit', 'off'), ('client_connection_check_interval', '5s')
       ) as wanted (name, setting)
 where wanted.setting is not null
   and (wanted.name <> 'client_connection_check_interval'
        or current_setting(wanted.name, true) is not null)
