-- Nobody else brings this tenant's quotas in line meanwhile. As webhookd's lock_tenant.sql.
-- $1 text: tenant
SELECT pg_advisory_xact_lock(hashtextextended('meterline tenant ' || $1::text, 0))
