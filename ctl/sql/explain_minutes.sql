-- The minute rows of a metric, each followed by the raw events that it was counted from, by the definition of each event's
-- time; those that were taken back too, and not those of batches that still wait to be folded.
-- decides: of max, last and unique, the row that the total, or one of its values, comes from; place tells the
-- event that is the last of a minute.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: from; $4 timestamptz: until before, whole minutes
with definitions as materialized (
    select v.*, coalesce(v.from_metric, v.metric) as source from metric_versions v where v.metric = $2::text
), raw as materialized (
    select e.*, coalesce(e.id_uuid::text, e.id_text) as given, coalesce(e.fields, '{}')::jsonb as labels,
           coalesce(e.id_uuid::text, e.id_text, e.stream || '/' || entry_half(e.ms) || '-' || entry_half(e.seq)) as id
      from (select b.catalog_version, b.stream, unnest(b.entry_ms) as ms, unnest(b.entry_seq) as seq,
                   unnest(b.tenants) as tenant, unnest(b.metrics) as metric, unnest(b.ids_uuid) as id_uuid,
                   unnest(b.ids_text) as id_text, unnest(b.quantities) as quantity, unnest(b.occurred_ms) as occurred,
                   unnest(b.fields) as fields, unnest(b.retracts) as retracts
              from usage_batches b
             where b.slice = tenant_slice($1::text) and b.day >= ($3::timestamptz at time zone 'UTC')::date - 1
               and b.occurred_min < $4::timestamptz and b.occurred_max >= $3
               and not exists (select from usage_pending p where p.batch = b.batch)) e
     where e.tenant = $1 and e.metric in (select source from definitions)
       and e.occurred >= extract(epoch from $3) * 1000 and e.occurred < extract(epoch from $4) * 1000
), taken_back as (
    select distinct retracts, id, occurred, metric, -quantity as quantity from raw where retracts > 0
), events as (
    select r.*, t.id is not null as retracted, r.occurred - (r.occurred % 60000 + 60000) % 60000 as minute_ms, d.dimensions
      from raw r
      join definitions v on v.source = r.metric and v.from_version <= r.catalog_version
                        and (v.until_version is null or r.catalog_version < v.until_version)
                        and r.labels @> v.where_dimensions
      left join taken_back t on t.retracts = case when r.given is null then 2 else 1 end and t.id = r.id
                            and t.occurred = r.occurred and t.metric = r.metric and t.quantity = r.quantity
     cross join lateral (
           select case when v.dimensions = '{}' then '{}' else
                  (select coalesce(jsonb_object_agg(l.key, l.value), '{}') from jsonb_each(r.labels) l
                    where l.key = any (v.dimensions)) end as dimensions) d
     where coalesce(r.retracts, 0) = 0
), minutes as (
    select (extract(epoch from a.minute_at) * 1000)::bigint as minute_ms, a.*,
           case m.aggregation when 'sum' then a.quantity_sum when 'count' then a.events when 'max' then a.quantity_max
                when 'last' then a.quantity_last else 1 end as value,
           case m.aggregation
               when 'max' then row_number() over (order by a.quantity_max desc, a.minute_at, a.dimensions) = 1
               when 'last' then row_number() over (order by a.last_ms desc, a.last_entry desc, a.dimensions) = 1
               when 'unique' then row_number() over (partition by a.dimensions order by a.minute_at) = 1
               else true end as decides
      from usage_aggregates a
      join metrics m using (metric)
     where a.tenant = $1 and a.metric = $2 and a.minute_at >= $3 and a.minute_at < $4
)
select minute_ms, dimensions, is_event, events, trim_scale(quantity), trim_scale(value), decides, place,
       id, stream, entry_half(ms) || '-' || entry_half(seq), occurred, retracted, labels
  from (select minute_ms, dimensions, false as is_event, events, quantity_sum as quantity, value, decides,
               last_ms || '/' || encode(last_entry, 'hex') as place, null as id, null as stream, null as ms, null as seq,
               null as occurred, null as retracted, null as labels
          from minutes
         union all
        select minute_ms, dimensions, true, null, quantity, null, null,
               occurred || '/' || lpad(to_hex(ms), 16, '0') || lpad(to_hex(seq), 16, '0'), id, stream, ms, seq, occurred,
               retracted, labels
          from events) x
 order by minute_ms, dimensions, is_event, occurred, ms, seq
