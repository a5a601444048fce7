-- Forget a function that was dropped.
-- $1 text: name
DELETE FROM public.schema_functions WHERE name = $1
