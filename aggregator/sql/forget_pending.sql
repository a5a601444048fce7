-- What is pending of a stream goes, but for one row that holds the sum of it all. ML001 if somebody else has
-- folded it.
-- $1 text stream; $2 int8 the batch of that row; $3 int8 batches that were pending before
SELECT forget_pending($1, $2, $3)
