-- One day's minute rows from the raw events, by the definitions that each event was counted by at its time, without
-- those that were taken back and those of batches that still wait to be folded. Not by count_raw_events, which
-- the aggregator uses: what counts is not what checks.
--
-- Most events share their fields with others of their minute: they are grouped before their JSON is looked at.
-- A retraction has the time of use of its event, so that ids are compared only where both agree (IS NOT
-- DISTINCT FROM keeps them out of the hash: making them is what costs).
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high; $4 date: first day of a commit that matters
WITH bounds AS MATERIALIZED (
    SELECT ceil(extract(epoch FROM $2::timestamptz) * 1000)::bigint AS low,
           ceil(extract(epoch FROM $3::timestamptz) * 1000)::bigint AS high
), slices AS MATERIALIZED (
    SELECT CASE WHEN $1::text IS NULL THEN ARRAY(SELECT generate_series(0, 15)::smallint)
                ELSE ARRAY[tenant_slice($1::text)] END AS list
), retractions AS MATERIALIZED (
    SELECT x.tenant, x.occurred, x.retracts, coalesce(x.id_uuid::text, x.id_text) AS id
      FROM (SELECT unnest(b.tenants) AS tenant, unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text,
                   unnest(b.occurred_ms) AS occurred, unnest(b.retracts) AS retracts
              FROM usage_batches b
             WHERE b.slice = ANY ((SELECT list FROM slices)::smallint[]) AND b.day >= $4::date
               AND b.occurred_min < $3::timestamptz AND b.occurred_max >= $2::timestamptz AND b.retracts IS NOT NULL
               AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = b.batch)) x
     WHERE x.retracts > 0
), split AS MATERIALIZED (
    SELECT array_agg(coalesce(from_metric, metric)) AS metrics
      FROM metric_versions
     WHERE dimensions <> '{}' OR where_dimensions <> '{}'
), alike AS (
    SELECT r.tenant, r.metric, r.catalog_version,
           CASE WHEN r.metric = ANY ((SELECT metrics FROM split)::text[]) THEN coalesce(r.fields, '{}')
                ELSE '{}' END AS fields,
           r.occurred - (r.occurred % 60000 + 60000) % 60000 AS minute_ms, count(*) AS events,
           sum(r.quantity) AS quantity_sum, min(r.quantity) AS quantity_min, max(r.quantity) AS quantity_max,
           max(last_value(r.occurred, r.ms, r.seq, r.quantity) COLLATE "C") AS last
      FROM (SELECT b.catalog_version, b.stream, unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric,
                   unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text, unnest(b.entry_ms) AS ms,
                   unnest(b.entry_seq) AS seq, unnest(b.quantities) AS quantity, unnest(b.occurred_ms) AS occurred,
                   unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
              FROM usage_batches b
             WHERE b.slice = ANY ((SELECT list FROM slices)::smallint[]) AND b.day >= $4::date
               AND b.occurred_min < $3::timestamptz AND b.occurred_max >= $2::timestamptz
               AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = b.batch)) r
     WHERE r.occurred >= (SELECT low FROM bounds) AND r.occurred < (SELECT high FROM bounds)
       AND ($1::text IS NULL OR r.tenant = $1::text)
       AND coalesce(r.retracts, 0) = 0
       AND NOT EXISTS (
           SELECT FROM retractions x
            WHERE x.tenant = r.tenant AND x.occurred = r.occurred
              AND x.retracts = CASE WHEN r.id_uuid IS NULL AND r.id_text IS NULL THEN 2 ELSE 1 END
              AND x.id IS NOT DISTINCT FROM
                  coalesce(r.id_uuid::text, r.id_text, r.stream || '/' || entry_half(r.ms) || '-' || entry_half(r.seq)))
     GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO rebuild_minutes
SELECT k.tenant, v.metric, d.dimensions, to_timestamp(0) + k.minute_ms * interval '1 ms', sum(k.events)::bigint,
       sum(k.quantity_sum), min(k.quantity_min), max(k.quantity_max), max(k.last COLLATE "C")
  FROM (SELECT *, fields::jsonb AS labels FROM alike) k
  JOIN metric_versions v ON coalesce(v.from_metric, v.metric) = k.metric AND v.from_version <= k.catalog_version
                        AND (v.until_version IS NULL OR k.catalog_version < v.until_version)
                        AND k.labels @> v.where_dimensions
 CROSS JOIN LATERAL (
       SELECT CASE WHEN v.dimensions = '{}' THEN '{}' ELSE
              (SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') FROM jsonb_each(k.labels) l
                WHERE l.key = ANY (v.dimensions)) END AS dimensions) d
 GROUP BY k.tenant, v.metric, d.dimensions, k.minute_ms
