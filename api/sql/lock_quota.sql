-- Lock a tenant's quotas against other changes; the lock of meterctl and webhookd.
-- $1 text: tenant
SELECT pg_advisory_xact_lock(hashtextextended('meterline tenant ' || $1::text, 0))
