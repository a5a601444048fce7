-- Rows that were written have the sums of so many batches that no row had. ML001 if somebody else has folded them.
-- $1 text stream; $2 int8 the first of them; $3 int8 the last; $4 int8 how many
SELECT cover_pending($1, $2, $3, $4)
