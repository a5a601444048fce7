-- Stored rows with the same tenant and id as an event or a retraction that is older than the window, and with the same
-- time of use; at whatever time of use if the id tells when it was made. A retraction's row has the id and the time of
-- what it took back.
-- $1 int4[] candidate's number; $2 int2[] slice; $3 text[] tenant; $4 text[] id; $5 int8[] occurred, Unix ms, NULL: only
-- by its id; $6 int4[] minute since 1970 that the id was made in, NULL: only by its time of use;
-- $7 int8 Unix ms: what has its last entry later is in the deduplication table. An id by default is spelt out, and told
-- by the last column.
-- A batch is unpacked once, however many of the events it may hold, and its rows meet them by a hash: OFFSET 0
-- keeps it in that order. Events are looked for by the hour, so that few of them meet few batches. An id is made two
-- days after the commit at most, since an entry may be a day ahead.
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::int4[], $2::int2[], $3::text[], $4::text[], $5::int8[], $6::int4[])
                  AS w (n, slice, tenant, id, occurred, minute)
), hours AS (
    SELECT slice, to_timestamp(0) + min(occurred) * interval '1 ms' AS low,
           to_timestamp(0) + max(occurred) * interval '1 ms' AS high
      FROM wanted WHERE occurred IS NOT NULL GROUP BY slice, occurred / 3600000
), minutes AS (
    SELECT slice, array_agg(DISTINCT minute) AS minutes, date '1970-01-01' + min(minute) / 1440 - 2 AS since
      FROM wanted WHERE minute IS NOT NULL GROUP BY slice
), places AS (
    SELECT b.day, b.batch, b.slice
      FROM hours h
      JOIN usage_batches b ON b.slice = h.slice AND b.occurred_min <= h.high
       AND b.occurred_max >= h.low AND entry_time(b.entry_last_ms, b.committed_at) <= $7
     UNION
    SELECT b.day, b.batch, b.slice
      FROM minutes m
     CROSS JOIN LATERAL (
           SELECT i.day, i.batch, i.slice FROM usage_batches i
            WHERE i.slice = m.slice AND i.id_minutes && m.minutes AND i.day >= m.since
              AND entry_time(i.entry_last_ms, i.committed_at) <= $7
           OFFSET 0) b
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
  JOIN stored u ON u.tenant = w.tenant
   AND coalesce(u.id_uuid::text, u.id_text, u.stream || '/' || entry_half(u.ms) || '-' || entry_half(u.seq)) = w.id
   AND (w.minute IS NOT NULL OR u.occurred = w.occurred)
