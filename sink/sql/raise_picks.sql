-- Redis knows of a pick that the ledger, which is whole, does not: numbers go on above it.
-- $1 int8: its number
UPDATE ledger_identity SET picks = $1::int8 WHERE picks < $1::int8 AND life = ledger_life()
