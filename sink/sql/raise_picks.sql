-- Redis knows of a pick that the ledger, which is whole, does not: numbers go on above it.
-- $1 int8: its number
update ledger_identity set picks = $1::int8 where picks < $1::int8 and life = ledger_life()
