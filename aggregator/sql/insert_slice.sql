-- One slice of a batch.
-- $1 text stream; $2 int4 epoch; $3 int8 batch; $4 int2 slice; $5 int4 events; $6, $7 timestamptz least and
-- greatest time of use; $8 int8[] entry ms; $9 int8[] entry seq; $10 text[] tenants; $11 text[] metrics;
-- $12 uuid[] ids; $13 text[] other ids; $14 numeric[] quantities; $15 int8[] occurred ms; $16 text[] fields
INSERT INTO usage_batches (day, stream, epoch, batch, slice, events, occurred_min, occurred_max, entry_ms,
                           entry_seq, tenants, metrics, ids_uuid, ids_text, quantities, occurred_ms, fields)
VALUES ((now() AT TIME ZONE 'UTC')::date, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
