-- Note by which definitions events are counted from this version of the catalog on; after bump_catalog_version.
with version as (
    select value from ledger_state where name = 'catalog_version'
), now as (
    select metric, aggregation, dimensions, from_metric, where_dimensions from metrics where retired_at is null
), ended as (
    update metric_versions v
       set until_version = n.value
      from version n
     where v.until_version is null
       and not exists (select from now m
                        where (m.metric, m.aggregation, m.dimensions, m.from_metric, m.where_dimensions)
                              is not distinct from
                              (v.metric, v.aggregation, v.dimensions, v.from_metric, v.where_dimensions))
)
insert into metric_versions (metric, from_version, aggregation, dimensions, from_metric, where_dimensions, checksum)
select m.metric, n.value, m.aggregation, m.dimensions, m.from_metric, m.where_dimensions,
       metric_version_checksum(row(m.metric, n.value, null, m.aggregation, m.dimensions, m.from_metric,
                                   m.where_dimensions, null)::metric_versions)
  from version n, now m
 where not exists (select from metric_versions v
                    where v.until_version is null
                      and (m.metric, m.aggregation, m.dimensions, m.from_metric, m.where_dimensions)
                          is not distinct from
                          (v.metric, v.aggregation, v.dimensions, v.from_metric, v.where_dimensions))
