-- Deletes notes of changes that are in the quota cache now, unless the tenant's limits have changed again since.
-- $1 jsonb: array of [tenant, number]
DELETE FROM limit_changes c
 USING jsonb_array_elements($1::jsonb) AS n
 WHERE c.tenant = n ->> 0 AND c.number = (n ->> 1)::bigint
