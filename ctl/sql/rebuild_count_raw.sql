-- One day's minute rows from the raw events, by the definitions that each event was counted by at its time, without
-- those that were taken back and those of batches that still wait to be folded. Not by count_raw_events, which
-- the aggregator uses: what counts is not what checks.
--
-- Most events share their fields with others of their minute: they are grouped before their JSON is looked at.
-- A retraction has the time of use of its event, so that ids are compared only where both agree (IS NOT
-- DISTINCT FROM keeps them out of the hash: making them is what costs).
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high; $4 date: first day of a commit that matters
with bounds as materialized (
    select ceil(extract(epoch from $2::timestamptz) * 1000)::bigint as low,
           ceil(extract(epoch from $3::timestamptz) * 1000)::bigint as high
), slices as materialized (
    select case when $1::text is null then array(select generate_series(0, 15)::smallint)
                else array[tenant_slice($1::text)] end as list
), retractions as materialized (
    select x.tenant, x.occurred, x.retracts, coalesce(x.id_uuid::text, x.id_text) as id
      from (select unnest(b.tenants) as tenant, unnest(b.ids_uuid) as id_uuid, unnest(b.ids_text) as id_text,
                   unnest(b.occurred_ms) as occurred, unnest(b.retracts) as retracts
              from usage_batches b
             where b.slice = any ((select list from slices)::smallint[]) and b.day >= $4::date
               and b.occurred_min < $3::timestamptz and b.occurred_max >= $2::timestamptz and b.retracts is not null
               and not exists (select from usage_pending p where p.batch = b.batch)) x
     where x.retracts > 0
), split as materialized (
    select array_agg(coalesce(from_metric, metric)) as metrics
      from metric_versions
     where dimensions <> '{}' or where_dimensions <> '{}'
), alike as (
    select r.tenant, r.metric, r.catalog_version,
           case when r.metric = any ((select metrics from split)::text[]) then coalesce(r.fields, '{}')
                else '{}' end as fields,
           r.occurred - (r.occurred % 60000 + 60000) % 60000 as minute_ms, count(*) as events,
           sum(r.quantity) as quantity_sum, min(r.quantity) as quantity_min, max(r.quantity) as quantity_max,
           max(last_value(r.occurred, r.ms, r.seq, r.quantity) collate "C") as last
      from (select b.catalog_version, b.stream, unnest(b.tenants) as tenant, unnest(b.metrics) as metric,
                   unnest(b.ids_uuid) as id_uuid, unnest(b.ids_text) as id_text, unnest(b.entry_ms) as ms,
                   unnest(b.entry_seq) as seq, unnest(b.quantities) as quantity, unnest(b.occurred_ms) as occurred,
                   unnest(b.fields) as fields, unnest(b.retracts) as retracts
              from usage_batches b
             where b.slice = any ((select list from slices)::smallint[]) and b.day >= $4::date
               and b.occurred_min < $3::timestamptz and b.occurred_max >= $2::timestamptz
               and not exists (select from usage_pending p where p.batch = b.batch)) r
     where r.occurred >= (select low from bounds) and r.occurred < (select high from bounds)
       and ($1::text is null or r.tenant = $1::text)
       and coalesce(r.retracts, 0) = 0
       and not exists (
           select from retractions x
            where x.tenant = r.tenant and x.occurred = r.occurred
              and x.retracts = case when r.id_uuid is null and r.id_text is null then 2 else 1 end
              and x.id is not distinct from
                  coalesce(r.id_uuid::text, r.id_text, r.stream || '/' || entry_half(r.ms) || '-' || entry_half(r.seq)))
     group by 1, 2, 3, 4, 5
)
insert into rebuild_minutes
select k.tenant, v.metric, d.dimensions, to_timestamp(0) + k.minute_ms * interval '1 ms', sum(k.events)::bigint,
       sum(k.quantity_sum), min(k.quantity_min), max(k.quantity_max), max(k.last collate "C")
  from (select *, fields::jsonb as labels from alike) k
  join metric_versions v on coalesce(v.from_metric, v.metric) = k.metric and v.from_version <= k.catalog_version
                        and (v.until_version is null or k.catalog_version < v.until_version)
                        and k.labels @> v.where_dimensions
 cross join lateral (
       select case when v.dimensions = '{}' then '{}' else
              (select coalesce(jsonb_object_agg(l.key, l.value), '{}') from jsonb_each(k.labels) l
                where l.key = any (v.dimensions)) end as dimensions) d
 group by k.tenant, v.metric, d.dimensions, k.minute_ms
