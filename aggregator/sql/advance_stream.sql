-- The fence, last of all: move the position and book the outcome, or ML001. Says when the batch was committed.
-- $1 text stream; $2 int4 epoch; $3 text owner; $4 text old last_id; $5 text new last_id; $6 to $9 int8 counted,
-- duplicates, rejected, conflicts; $10 text entries-added as last seen; $11 int8 batch; $12 bytea its contents' digest
SELECT advance_stream($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::numeric, $11, $12), now(),
       ((now() AT TIME ZONE 'UTC')::date - date '1970-01-01')::int4
