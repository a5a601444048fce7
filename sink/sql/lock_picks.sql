-- One sink picks at a time, until the end of this pipeline's transaction; and whether sinks are held.
SELECT pg_advisory_xact_lock(hashtext('meterline picks')),
       sink_hold() AS hold
