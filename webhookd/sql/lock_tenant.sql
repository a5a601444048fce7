-- One worker at a time for a tenant, until the transaction ends, because two customers may claim the same tenant.
-- $1 text: tenant, or NULL for none
SELECT pg_advisory_xact_lock(hashtextextended('meterline tenant ' || $1::text, 0))
 WHERE $1::text IS NOT NULL
