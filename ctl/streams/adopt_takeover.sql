-- This ledger takes streams over: its name outranks that of the ledger that had them.
-- $1 int4: takeovers of that one
UPDATE ledger_identity SET takeovers = greatest(takeovers, $1::int4 + 1)
