-- Tenants whose usage is asked to be claimed at once.
-- $1 int8: rows at most
select tenant, requested_at from sink_requests where kind = 'settle' order by requested_at limit $1
