-- One row that was written has the sums of so many batches that no row had. ML001 if somebody else has folded them.
-- $1 text stream; $2 int8 the last of them; $3 int8 how many
SELECT cover_pending($1, $2, $3)
