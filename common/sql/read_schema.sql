-- The newest migration that was applied, and the oldest build that it still suits.
SELECT version, compatible_from
  FROM public.schema_migrations
 ORDER BY version DESC
 LIMIT 1
