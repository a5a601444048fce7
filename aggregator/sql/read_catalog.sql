-- The catalog's metrics with its version, as jsonb text where they are lists; one row of NULLs without any metric. In each row
-- the same: usage of long ago that is let in on purpose.
SELECT v.value, m.metric, m.aggregation, m.carry, to_json(m.dimensions)::text, m.from_metric, m.where_dimensions::text,
       (SELECT json_agg(json_build_object('id', b.backfill_id, 'tenant', b.tenant, 'from_ms', floor(extract(epoch FROM b.from_at) * 1000),
                                          'until_ms', floor(extract(epoch FROM b.until_at) * 1000),
                                          'ends_ms', floor(extract(epoch FROM b.ends_at) * 1000)))::text
          FROM usage_backfills b WHERE b.ends_at > now())
  FROM ledger_state v
  LEFT JOIN metrics m ON m.retired_at IS NULL
 WHERE v.name = 'catalog_version'
 ORDER BY m.metric
