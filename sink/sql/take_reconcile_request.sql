-- The oldest request to compare a tenant that is due, unless a sink has just taken it.
update sink_requests r
   set taken_at = now()
  from (select tenant
          from sink_requests
         where kind = 'reconcile' and requested_at <= now()
           and (taken_at is null or taken_at < requested_at or taken_at < now() - interval '2 minutes')
         order by requested_at
         limit 1
           for update skip locked) as next
 where r.tenant = next.tenant and r.kind = 'reconcile'
returning r.tenant, r.requested_at
