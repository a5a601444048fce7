-- Stored rows with the same tenant, given id and time of use as an event that is older than the window.
-- $1 int4[] candidate's number; $2 int2[] slice; $3 text[] tenant; $4 text[] id; $5 int8[] occurred, Unix ms;
-- $6 text stream
SELECT w.n, u.tenant, u.metric, u.id_uuid::text, u.id_text, u.ms, u.seq, u.quantity::text, u.fields
  FROM unnest($1::int4[], $2::int2[], $3::text[], $4::text[], $5::int8[]) AS w (n, slice, tenant, id, occurred)
  JOIN usage_batches b ON b.stream = $6 AND b.slice = w.slice
   AND b.occurred_min <= to_timestamp(0) + w.occurred * interval '1 ms'
   AND b.occurred_max >= to_timestamp(0) + w.occurred * interval '1 ms'
 CROSS JOIN LATERAL unnest(b.tenants, b.metrics, b.ids_uuid, b.ids_text, b.entry_ms, b.entry_seq,
                           b.quantities, b.fields, b.occurred_ms)
                    AS u (tenant, metric, id_uuid, id_text, ms, seq, quantity, fields, occurred)
 WHERE u.occurred = w.occurred AND u.tenant = w.tenant AND coalesce(u.id_uuid::text, u.id_text) = w.id
