-- Requests that are done, unless they were made again meanwhile. Arrays of one length.
-- $1 text[] tenant, $2 timestamptz[] requested_at
DELETE FROM sink_requests r
 USING unnest($1::text[], $2::timestamptz[]) AS n (tenant, requested_at)
 WHERE r.kind = 'settle' AND r.tenant = n.tenant AND r.requested_at = n.requested_at
