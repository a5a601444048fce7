-- One slice of a batch.
-- $1 text stream; $2 int4 epoch; $3 int8 batch; $4 int8 catalog version; $5 int2 slice; $6 int4 events; $7, $8
-- timestamptz least and greatest time of use; $9 int8[] entry ms; $10 int8[] entry seq; $11 text[] tenants; $12 text[]
-- metrics; $13 uuid[] ids; $14 text[] other ids; $15 numeric[] quantities; $16 int8[] occurred ms; $17 text[] fields;
-- $18 int2[] retracts; $19 int4[] minutes that ids were made in; $20, $21 int8 ms of the whole batch's first and last
-- entry, cut to 63 bits
INSERT INTO usage_batches (day, stream, epoch, batch, catalog_version, slice, events, occurred_min, occurred_max,
                           entry_ms, entry_seq, tenants, metrics, ids_uuid, ids_text, quantities, occurred_ms, fields,
                           retracts, id_minutes, entry_first_ms, entry_last_ms)
VALUES ((now() AT TIME ZONE 'UTC')::date, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
        $19, $20, $21)
