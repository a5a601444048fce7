-- The oldest request to compare a tenant that is due, unless a sink has just taken it.
UPDATE sink_requests r
   SET taken_at = now()
  FROM (SELECT tenant
          FROM sink_requests
         WHERE kind = 'reconcile' AND requested_at <= now()
           AND (taken_at IS NULL OR taken_at < requested_at OR taken_at < now() - interval '2 minutes')
         ORDER BY requested_at
         LIMIT 1
           FOR UPDATE SKIP LOCKED) AS next
 WHERE r.tenant = next.tenant AND r.kind = 'reconcile'
RETURNING r.tenant, r.requested_at
