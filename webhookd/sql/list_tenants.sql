-- A page of the tenants that have quotas or usage, in order, as one JSON array; its last one; how many;
-- and the catalog's version. Skips from tenant to tenant in the indexes.
-- $1 text: after this tenant ('' for the first page)
-- $2 bigint: at most so many
with recursive used as (
    select (select min(tenant) from usage_totals where tenant > $1::text) as tenant
    union all
    select (select min(t.tenant) from usage_totals t where t.tenant > used.tenant)
      from used where used.tenant is not null
), limited as (
    select (select min(tenant) from usage_quotas where tenant > $1::text) as tenant
    union all
    select (select min(q.tenant) from usage_quotas q where q.tenant > limited.tenant)
      from limited where limited.tenant is not null
), page as (
    select tenant
      from ((select tenant from used where tenant is not null limit $2::bigint)
            union
            (select tenant from limited where tenant is not null limit $2::bigint)) both_of
     order by tenant
     limit $2::bigint
)
select coalesce(jsonb_agg(tenant order by tenant), '[]')::text as tenants,
       coalesce(max(tenant), '') as last, count(*) as tenants_count,
       (select value from ledger_state where name = 'catalog_version') as catalog_version
  from page
