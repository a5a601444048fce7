-- $1 text: one tenant; NULL: all
insert into rebuild_keys
select distinct tenant, metric
  from usage_aggregates
 where $1::text is null or tenant = $1::text
