-- A function that was dropped.
-- $1 text: name
delete from public.schema_functions where name = $1
