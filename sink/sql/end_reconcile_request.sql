-- A request was done, unless it was made again meanwhile.
-- $1 text: tenant
-- $2 timestamptz: requested_at, as it was taken
delete from sink_requests where tenant = $1 and kind = 'reconcile' and requested_at = $2::timestamptz
