-- $1 interval: raw events are kept that long
select day, events, bytes, kept from list_usage_days($1::interval) order by day
