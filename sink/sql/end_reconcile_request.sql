-- A request was done, unless it was made again meanwhile.
-- $1 text: tenant
-- $2 timestamptz: requested_at, as it was taken
DELETE FROM sink_requests WHERE tenant = $1 AND kind = 'reconcile' AND requested_at = $2::timestamptz
