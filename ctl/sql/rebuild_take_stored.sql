-- $1 timestamptz: low; $2 timestamptz: high
insert into rebuild_minutes
select a.tenant, a.metric, a.dimensions, a.minute_at, a.events, a.quantity_sum, a.quantity_min, a.quantity_max,
       lpad(to_hex(a.last_ms # (-9223372036854775808)), 16, '0') || encode(a.last_entry, 'hex') || a.quantity_last::text
  from rebuild_keys k
  join usage_aggregates a on a.tenant = k.tenant and a.metric = k.metric
   and a.minute_at >= $1::timestamptz and a.minute_at < $2::timestamptz
