-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high; $4 date: since
insert into rebuild_minutes
select tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min, quantity_max, last
  from count_raw_events(case when $1::text is not null then array[$1::text] end, $2::timestamptz, $3::timestamptz,
                        $4::date)
