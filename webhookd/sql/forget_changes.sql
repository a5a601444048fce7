-- Forgets changes that are in the quota cache now, unless the tenant's limits changed again since.
-- $1 jsonb: array of [tenant, number]
delete from limit_changes c
 using jsonb_array_elements($1::jsonb) as n
 where c.tenant = n ->> 0 and c.number = (n ->> 1)::bigint
