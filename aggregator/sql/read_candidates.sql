-- Stored rows that may hold the same idempotency key as a new event, or what a retraction takes back, to be compared.
-- $1 int4[] candidate's number; $2 int4[] day since 1970-01-01; $3 int8[] batch; $4 int2[] slice; $5 int4[] row from 1
-- An id by default is spelt out, and told by the last column.
-- array_append unpacks an array once a slice, and each [row] is then one step: unnest would make rows of all
-- of it, and a plain b.tenants[row] would unpack it anew for each candidate. OFFSET 0 keeps it in that order.
SELECT w.n, s.tenants[w.row], s.metrics[w.row], s.ids_uuid[w.row]::text,
       coalesce(s.ids_text[w.row], CASE WHEN s.ids_uuid[w.row] IS NULL THEN s.stream || '/'
                || entry_half(s.entry_ms[w.row]) || '-' || entry_half(s.entry_seq[w.row]) END),
       s.entry_ms[w.row], s.entry_seq[w.row], s.quantities[w.row]::text, s.fields[w.row], s.occurred_ms[w.row],
       coalesce(s.retracts[w.row], 0), s.ids_text[w.row] IS NULL AND s.ids_uuid[w.row] IS NULL
  FROM (SELECT b.stream, d.numbers, d.rows, array_append(tenants, NULL) AS tenants, array_append(metrics, NULL) AS metrics,
               array_append(ids_uuid, NULL) AS ids_uuid, array_append(ids_text, NULL) AS ids_text,
               array_append(entry_ms, NULL) AS entry_ms, array_append(entry_seq, NULL) AS entry_seq,
               array_append(quantities, NULL) AS quantities, array_append(fields, NULL) AS fields,
               array_append(occurred_ms, NULL) AS occurred_ms, array_append(retracts, NULL) AS retracts
          FROM (SELECT date '1970-01-01' + day AS day, batch, slice, array_agg(n) AS numbers, array_agg(row) AS rows
                  FROM unnest($1::int4[], $2::int4[], $3::int8[], $4::int2[], $5::int4[])
                       AS c (n, day, batch, slice, row)
                 GROUP BY 1, 2, 3) d
          JOIN usage_batches b ON b.day = d.day AND b.batch = d.batch AND b.slice = d.slice
        OFFSET 0) s
 CROSS JOIN LATERAL unnest(s.numbers, s.rows) AS w (n, row)
