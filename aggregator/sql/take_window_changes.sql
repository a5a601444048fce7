-- Tenants whose limits count over other windows since; they are taken off the list.
-- $1 int4 how many at most
DELETE FROM usage_window_changes
 WHERE tenant = ANY (ARRAY(SELECT tenant FROM usage_window_changes LIMIT $1::integer FOR UPDATE SKIP LOCKED))
RETURNING tenant
