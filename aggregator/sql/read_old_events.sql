-- Stored rows with the same tenant, id and time of use as an event or a retraction that is older than the window. A
-- retraction's row has the id and the time of what it took back.
-- $1 int4[] candidate's number; $2 int2[] slice; $3 text[] tenant; $4 text[] id; $5 int8[] occurred, Unix ms;
-- $6 int8 Unix ms: what has its last entry later is in the deduplication table. An id by default is spelt out, and told
-- by the last column.
-- A batch is unpacked once, however many of the events it may hold, and its rows meet them by a hash: OFFSET 0
-- keeps it in that order. Events are looked for by the hour, so that few of them meet few batches.
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::int4[], $2::int2[], $3::text[], $4::text[], $5::int8[]) AS w (n, slice, tenant, id, occurred)
), hours AS (
    SELECT slice, to_timestamp(0) + min(occurred) * interval '1 ms' AS low,
           to_timestamp(0) + max(occurred) * interval '1 ms' AS high
      FROM wanted GROUP BY slice, occurred / 3600000
), places AS (
    SELECT DISTINCT b.day, b.batch, b.slice
      FROM hours h
      JOIN usage_batches b ON b.slice = h.slice AND b.occurred_min <= h.high
       AND b.occurred_max >= h.low AND entry_time(b.entry_last_ms, b.committed_at) <= $6
), stored AS (
    SELECT b.stream, u.*
      FROM places p
      JOIN usage_batches b ON b.day = p.day AND b.batch = p.batch AND b.slice = p.slice
     CROSS JOIN LATERAL unnest(b.tenants, b.metrics, b.ids_uuid, b.ids_text, b.entry_ms, b.entry_seq,
                               b.quantities, b.fields, b.occurred_ms, b.retracts)
                        AS u (tenant, metric, id_uuid, id_text, ms, seq, quantity, fields, occurred, retracts)
    OFFSET 0
)
SELECT w.n, u.tenant, u.metric, u.id_uuid::text,
       coalesce(u.id_text, CASE WHEN u.id_uuid IS NULL
                                THEN u.stream || '/' || entry_half(u.ms) || '-' || entry_half(u.seq) END),
       u.ms, u.seq, u.quantity::text, u.fields, u.occurred, coalesce(u.retracts, 0), u.id_text IS NULL AND u.id_uuid IS NULL
  FROM wanted w
  JOIN stored u ON u.occurred = w.occurred AND u.tenant = w.tenant
   AND coalesce(u.id_uuid::text, u.id_text, u.stream || '/' || entry_half(u.ms) || '-' || entry_half(u.seq)) = w.id
