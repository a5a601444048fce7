-- Entries of a batch that were repeats of others: no other trace is left of them.
-- $1 text stream; $2 int4 epoch; $3 int8 batch; $4 int8 ms of the batch's last entry, cut to 63 bits; $5 int8[] entry ms;
-- $6 int8[] entry seq; $7 int8[] content
INSERT INTO usage_repeats (day, stream, epoch, batch, entry_last_ms, entry_ms, entry_seq, contents)
VALUES ((now() AT TIME ZONE 'UTC')::date, $1, $2, $3, $4, $5, $6, $7)
