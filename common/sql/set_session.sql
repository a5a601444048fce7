-- What every session of ours relies on, whatever the server's or the login's defaults are.
-- The last one ends a statement whose client is gone, so that a passed deadline does not leave it
-- holding locks; servers before 14 lack it.
select set_config(wanted.name, wanted.setting, false)
  from (values ('synchronous_commit', 'on'), ('TimeZone', 'UTC'), ('search_path', 'public'),
               ('statement_timeout', '0'), ('client_connection_check_interval', '5s')
       ) as wanted (name, setting)
 where wanted.name <> 'client_connection_check_interval'
    or current_setting(wanted.name, true) is not null
