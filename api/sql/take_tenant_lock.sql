-- Takes what a tenant has at Stripe for one request, or returns nothing if another one has it.
-- $1 text: tenant; $2 text: the request; $3 integer: how long it is its own, ms
INSERT INTO tenant_locks AS l (tenant, owner, lease_until)
VALUES ($1, $2, clock_timestamp() + $3::integer * interval '1 ms')
    ON CONFLICT (tenant) DO UPDATE
   SET owner = excluded.owner, lease_until = excluded.lease_until
 WHERE l.owner = excluded.owner OR l.lease_until < clock_timestamp()
RETURNING l.owner
