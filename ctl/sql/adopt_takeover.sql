-- This ledger takes streams over: its name outranks that of the ledger that had them.
-- $1 int4: takeovers of that one
update ledger_identity set takeovers = greatest(takeovers, $1::int4 + 1)
