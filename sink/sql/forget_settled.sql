-- Requests that are done, unless they were made again meanwhile. Arrays of one length.
-- $1 text[] tenant, $2 timestamptz[] requested_at
delete from sink_requests r
 using unnest($1::text[], $2::timestamptz[]) as n (tenant, requested_at)
 where r.kind = 'settle' and r.tenant = n.tenant and r.requested_at = n.requested_at
