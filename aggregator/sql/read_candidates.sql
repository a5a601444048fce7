-- Stored rows that may hold the same idempotency key as a new event, to be compared.
-- $1 int4[] candidate's number; $2 int4[] day since 1970-01-01; $3 int8[] batch; $4 int2[] slice; $5 int4[] row from 1; $6 text stream
SELECT w.n, r.tenant, r.metric, r.id_uuid::text, r.id_text, r.ms, r.seq, r.quantity::text, r.fields
  FROM unnest($1::int4[], $2::int4[], $3::int8[], $4::int2[], $5::int4[]) AS w (n, day, batch, slice, row)
  JOIN (SELECT b.day, b.batch, b.slice, u.*
          FROM (SELECT DISTINCT date '1970-01-01' + day AS day, batch, slice
                  FROM unnest($2::int4[], $3::int8[], $4::int2[]) AS d (day, batch, slice)) d
          JOIN usage_batches b ON b.stream = $6 AND b.day = d.day AND b.batch = d.batch AND b.slice = d.slice
         CROSS JOIN LATERAL unnest(b.tenants, b.metrics, b.ids_uuid, b.ids_text, b.entry_ms, b.entry_seq,
                                   b.quantities, b.fields) WITH ORDINALITY
                            AS u (tenant, metric, id_uuid, id_text, ms, seq, quantity, fields, row)) r
    ON r.day = date '1970-01-01' + w.day AND r.batch = w.batch AND r.slice = w.slice AND r.row = w.row
