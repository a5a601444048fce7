-- Rejected entries that are marked as replayed although nothing came of it: neither an event with that id nor another
-- rejected entry. At most 10. It cannot be known of entries that were replayed before Redis lost data, of those whose
-- raw events may be dropped, and of retractions without an id.
-- $1 timestamptz: all that was added before is counted; NULL: not known, nothing is judged
WITH losses AS MATERIALIZED (
    SELECT coalesce(max(at), '-infinity') AS until
      FROM (SELECT closed_at FROM stream_epochs
             UNION ALL
            SELECT coalesce((SELECT min(b.committed_at) FROM stream_batches b
                              WHERE b.stream = p.stream AND b.epoch = p.epoch AND b.lost = p.lost), 'infinity')
              FROM stream_positions p WHERE p.lost > 0) l (at)
), marked AS MATERIALIZED (
    SELECT r.rejected_id, r.stream, r.stream_id, r.tenant, r.reason, r.replayed_at,
           coalesce(f.id, r.stream || '/' || r.stream_id) AS id
      FROM rejected_events r
     CROSS JOIN LATERAL (
           SELECT min(value ->> 1) FILTER (WHERE value ->> 0 = 'id') AS id, bool_or(value ->> 0 = 'op') AS has_op
             FROM jsonb_array_elements(CASE jsonb_typeof(r.fields) WHEN 'array' THEN r.fields END)) f
     WHERE r.replayed_at < $1::timestamptz AND r.replayed_at > (SELECT until FROM losses)
       AND (f.id IS NOT NULL OR f.has_op IS DISTINCT FROM true)
       AND NOT EXISTS (SELECT FROM usage_batches_dropped d WHERE d.day >= (r.replayed_at AT TIME ZONE 'UTC')::date - 36)
), events AS MATERIALIZED (
    SELECT DISTINCT e.tenant, coalesce(e.id_uuid::text, e.id_text) AS id
      FROM (SELECT unnest(b.tenants) AS tenant, unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text
              FROM usage_batches b
             WHERE b.slice IN (SELECT tenant_slice(m.tenant) FROM marked m)
               AND (b.ids_uuid IS NOT NULL OR b.ids_text IS NOT NULL)) e
     WHERE coalesce(e.id_uuid::text, e.id_text) IN (SELECT m.id FROM marked m)
), again AS MATERIALIZED (
    SELECT f.value ->> 1 AS id, max(r.rejected_id) AS newest
      FROM rejected_events r
     CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(r.fields) WHEN 'array' THEN r.fields END) f
     WHERE r.rejected_id > (SELECT min(m.rejected_id) FROM marked m)
       AND f.value ->> 0 = 'id' AND f.value ->> 1 IN (SELECT m.id FROM marked m)
     GROUP BY f.value ->> 1
)
SELECT m.rejected_id, m.stream, m.stream_id, m.tenant, m.reason,
       CASE m.reason WHEN 'conflict' THEN 'marked as replayed, and conflicts are never replayed'
            ELSE 'marked as replayed, and nothing came of it' END AS what
  FROM marked m
  LEFT JOIN events e ON e.tenant = m.tenant AND e.id = m.id
  LEFT JOIN again a ON a.id = m.id AND a.newest > m.rejected_id
 WHERE m.reason = 'conflict' OR (e.id IS NULL AND a.id IS NULL)
 ORDER BY m.rejected_id
 LIMIT 10
