-- The newest migration that was applied, and the oldest build that it still suits.
select version, compatible_from
  from public.schema_migrations
 order by version desc
 limit 1
