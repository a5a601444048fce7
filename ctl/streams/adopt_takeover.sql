-- Make this ledger's name outrank that of the ledger that had the streams.
-- $1 int4: takeovers of that one
UPDATE ledger_identity SET takeovers = greatest(takeovers, $1::int4 + 1)
