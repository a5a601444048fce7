-- Metrics that are not as `catalog apply` left them, and definitions that are not as it noted them: events were counted by
-- these, and usage is sent by those. A metric in force has just one definition without an end, its own.
with versions as (
    select v.metric, v.from_version, v.until_version,
           case when v.checksum is distinct from metric_version_checksum(v) then 'definition altered'
                when v.until_version <= v.from_version then 'ends before it begins'
                when v.until_version > (select value from ledger_state where name = 'catalog_version')
                     or v.from_version > (select value from ledger_state where name = 'catalog_version')
                then 'of a catalog that was never applied' end as what
      from metric_versions v
), metrics_now as (
    select m.metric, null::bigint, null::bigint,
           case when m.checksum is distinct from metric_checksum(m) then 'altered since the catalog was applied'
                when m.retired_at is null and not exists (
                     select from metric_versions v
                      where v.metric = m.metric and v.until_version is null
                        and (v.aggregation, v.dimensions, v.from_metric, v.where_dimensions)
                            is not distinct from (m.aggregation, m.dimensions, m.from_metric, m.where_dimensions))
                then 'counted by another definition' end
      from metrics m
)
select * from (select * from versions union all select * from metrics_now) x
 where what is not null
 order by metric, from_version
