-- Some of the tenants whose limits changed, as one JSON array; the same with the number of the change; how many;
-- and the catalog's version.
-- $1 bigint: at most so many
select coalesce(jsonb_agg(tenant), '[]')::text as tenants,
       coalesce(jsonb_agg(jsonb_build_array(tenant, number)), '[]')::text as notes, count(*) as tenants_count,
       (select value from ledger_state where name = 'catalog_version') as catalog_version
  from (select tenant, number from limit_changes order by number limit $1::bigint) as c
