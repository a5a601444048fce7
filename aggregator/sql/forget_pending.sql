-- What is pending of a stream goes: one row that holds the sum of it all follows in the same transaction. ML001 if
-- somebody else has folded it.
-- $1 text stream; $2 int8 batches that are pending
SELECT forget_pending($1, $2)
