-- One worker at a time for a customer, until the transaction ends. It is not a row lock, because there may be no row
-- yet.
-- $1 text: Stripe's customer id
SELECT pg_advisory_xact_lock(hashtextextended('meterline customer ' || $1::text, 0))
