-- The minute rows of a metric, each followed by the raw events that it was counted from, by the definition of each event's
-- time; those that were taken back too, and not those of batches that still wait to be folded.
-- decides: of max, last and unique, the row that the total, or one of its values, comes from; place tells the
-- event that is the last of a minute.
-- $1 text: tenant; $2 text: metric; $3 timestamptz: from; $4 timestamptz: until before, whole minutes
WITH definitions AS MATERIALIZED (
    SELECT v.*, coalesce(v.from_metric, v.metric) AS source FROM metric_versions v WHERE v.metric = $2::text
), raw AS MATERIALIZED (
    SELECT e.*, coalesce(e.id_uuid::text, e.id_text) AS given, coalesce(e.fields, '{}')::jsonb AS labels,
           coalesce(e.id_uuid::text, e.id_text, e.stream || '/' || entry_half(e.ms) || '-' || entry_half(e.seq)) AS id
      FROM (SELECT b.catalog_version, b.stream, unnest(b.entry_ms) AS ms, unnest(b.entry_seq) AS seq,
                   unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric, unnest(b.ids_uuid) AS id_uuid,
                   unnest(b.ids_text) AS id_text, unnest(b.quantities) AS quantity, unnest(b.occurred_ms) AS occurred,
                   unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
              FROM usage_batches b
             WHERE b.slice = tenant_slice($1::text) AND b.day >= ($3::timestamptz AT TIME ZONE 'UTC')::date - 1
               AND b.occurred_min < $4::timestamptz AND b.occurred_max >= $3
               AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = b.batch)) e
     WHERE e.tenant = $1 AND e.metric IN (SELECT source FROM definitions)
       AND e.occurred >= extract(epoch FROM $3) * 1000 AND e.occurred < extract(epoch FROM $4) * 1000
), taken_back AS (
    SELECT DISTINCT retracts, id, occurred, metric, -quantity AS quantity FROM raw WHERE retracts > 0
), events AS (
    SELECT r.*, t.id IS NOT NULL AS retracted, r.occurred - (r.occurred % 60000 + 60000) % 60000 AS minute_ms, d.dimensions
      FROM raw r
      JOIN definitions v ON v.source = r.metric AND v.from_version <= r.catalog_version
                        AND (v.until_version IS NULL OR r.catalog_version < v.until_version)
                        AND r.labels @> v.where_dimensions
      LEFT JOIN taken_back t ON t.retracts = CASE WHEN r.given IS NULL THEN 2 ELSE 1 END AND t.id = r.id
                            AND t.occurred = r.occurred AND t.metric = r.metric AND t.quantity = r.quantity
     CROSS JOIN LATERAL (
           SELECT CASE WHEN v.dimensions = '{}' THEN '{}' ELSE
                  (SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') FROM jsonb_each(r.labels) l
                    WHERE l.key = ANY (v.dimensions)) END AS dimensions) d
     WHERE coalesce(r.retracts, 0) = 0
), minutes AS (
    SELECT (extract(epoch FROM a.minute_at) * 1000)::bigint AS minute_ms, a.*,
           CASE m.aggregation WHEN 'sum' THEN a.quantity_sum WHEN 'count' THEN a.events WHEN 'max' THEN a.quantity_max
                WHEN 'last' THEN a.quantity_last ELSE 1 END AS value,
           CASE m.aggregation
               WHEN 'max' THEN row_number() OVER (ORDER BY a.quantity_max DESC, a.minute_at, a.dimensions) = 1
               WHEN 'last' THEN row_number() OVER (ORDER BY a.last_ms DESC, a.last_entry DESC, a.dimensions) = 1
               WHEN 'unique' THEN row_number() OVER (PARTITION BY a.dimensions ORDER BY a.minute_at) = 1
               ELSE true END AS decides
      FROM usage_aggregates a
      JOIN metrics m USING (metric)
     WHERE a.tenant = $1 AND a.metric = $2 AND a.minute_at >= $3 AND a.minute_at < $4
)
SELECT minute_ms, dimensions, is_event, events, trim_scale(quantity), trim_scale(value), decides, place,
       id, stream, entry_half(ms) || '-' || entry_half(seq), occurred, retracted, labels
  FROM (SELECT minute_ms, dimensions, false AS is_event, events, quantity_sum AS quantity, value, decides,
               last_ms || '/' || encode(last_entry, 'hex') AS place, NULL AS id, NULL AS stream, NULL AS ms, NULL AS seq,
               NULL AS occurred, NULL AS retracted, NULL AS labels
          FROM minutes
         UNION ALL
        SELECT minute_ms, dimensions, true, NULL, quantity, NULL, NULL,
               occurred || '/' || lpad(to_hex(ms), 16, '0') || lpad(to_hex(seq), 16, '0'), id, stream, ms, seq, occurred,
               retracted, labels
          FROM events) x
 ORDER BY minute_ms, dimensions, is_event, occurred, ms, seq
