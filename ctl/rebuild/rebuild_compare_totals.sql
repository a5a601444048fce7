-- Totals that are not what the minutes of their period say: at most 100, and how many there are. A metric that carries
-- its last value over has in each period the last value until its end; where a value was carried through time that no
-- total holds, one is missing from then on, unless the period has just begun and is about to be opened.
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high; $4 timestamptz: the parts are of usage from
-- then on
WITH labels AS (
    SELECT p.tenant, p.metric, p.aggregation, p.period_start, p.period_end, p.dimensions, sum(p.events) AS events,
           sum(p.quantity_sum) AS quantity_sum, max(p.quantity_max) AS quantity_max, max(p.last) AS last
      FROM rebuild_parts p
      JOIN metrics m ON m.metric = p.metric AND NOT m.carry
     WHERE p.period_start < $3::timestamptz AND p.period_end > $2::timestamptz
     GROUP BY p.tenant, p.metric, p.aggregation, p.period_start, p.period_end, p.dimensions
), summed AS (
    SELECT tenant, metric, period_start, period_end,
           CASE aggregation
               WHEN 'sum' THEN sum(quantity_sum)
               WHEN 'count' THEN sum(events)
               WHEN 'max' THEN max(quantity_max)
               WHEN 'unique' THEN count(*)
               ELSE last_value_quantity(max(last)) END AS quantity,
           CASE WHEN aggregation = 'last' THEN left(max(last), 48) END AS place
      FROM labels
     GROUP BY tenant, metric, aggregation, period_start, period_end
), stored AS MATERIALIZED (
    SELECT t.tenant, t.metric, t.period_start, t.period_end, t.quantity, m.carry, m.retired_at,
           CASE WHEN m.aggregation = 'last' THEN
               lpad(to_hex(t.last_ms # (-9223372036854775808)), 16, '0') || encode(t.last_entry, 'hex') END AS place
      FROM usage_totals t
      JOIN metrics m USING (metric)
     WHERE t.period_start < $3::timestamptz AND t.period_end > CASE WHEN m.carry THEN $4 ELSE $2 END::timestamptz
       AND ($1::text IS NULL OR t.tenant = $1::text)
), owned AS (
    SELECT p.tenant, p.metric, p.period_start, p.period_end, max(p.last) AS last
      FROM rebuild_parts p
      JOIN metrics m ON m.metric = p.metric AND m.carry
     GROUP BY p.tenant, p.metric, p.period_start, p.period_end
), chain AS MATERIALIZED (
    SELECT tenant, metric, period_start, coalesce(o.period_end, s.period_end) AS period_end, o.last
      FROM owned o
      FULL JOIN (SELECT * FROM stored WHERE carry) s USING (tenant, metric, period_start)
), before AS MATERIALIZED (
    SELECT k.tenant, k.metric, b.last
      FROM (SELECT DISTINCT tenant, metric FROM chain) k
     CROSS JOIN LATERAL (
           SELECT lpad(to_hex(a.last_ms # (-9223372036854775808)), 16, '0') || encode(a.last_entry, 'hex')
                  || a.quantity_last AS last
             FROM usage_aggregates a
            WHERE a.tenant = k.tenant AND a.metric = k.metric AND a.minute_at < $4::timestamptz
            ORDER BY a.minute_at DESC, a.last_ms DESC, a.last_entry DESC
            LIMIT 1) b
), carried AS MATERIALIZED (
    SELECT c.tenant, c.metric, c.period_start, c.period_end,
           coalesce(max(c.last) OVER w, b.last) AS last, lead(c.period_start) OVER w AS next_start
      FROM chain c
      LEFT JOIN before b USING (tenant, metric)
    WINDOW w AS (PARTITION BY c.tenant, c.metric ORDER BY c.period_start)
), recomputed AS (
    SELECT * FROM summed
     UNION ALL
    SELECT tenant, metric, period_start, period_end, coalesce(last_value_quantity(last), 0), left(last, 48)
      FROM carried
     WHERE period_start < $3::timestamptz AND period_end > $2::timestamptz
), compared AS (
    SELECT tenant, metric, period_start, s.quantity, s.period_end,
           coalesce(r.quantity, 0) AS wanted, coalesce(r.period_end, s.period_end) AS wanted_end,
           CASE WHEN r.place IS NOT NULL THEN s.place END AS place, r.place AS wanted_place
      FROM (SELECT * FROM stored WHERE period_end > $2::timestamptz) s
      FULL JOIN recomputed r USING (tenant, metric, period_start)
     UNION ALL
    SELECT c.tenant, c.metric, c.period_end, NULL, NULL, last_value_quantity(c.last), c.next_start, NULL, NULL
      FROM carried c
      JOIN metrics m USING (metric)
     WHERE last_value_quantity(c.last) <> 0 AND c.period_end < coalesce(c.next_start, 'infinity')
       AND c.period_end <= least(now() - interval '10 minutes', m.retired_at)
       AND c.period_end < $3::timestamptz AND coalesce(c.next_start, 'infinity') > $2::timestamptz
)
SELECT count(*) OVER () AS of_all, 'total' AS kind, tenant, metric, period_start,
       CASE WHEN quantity IS NOT NULL THEN concat_ws(' ', trim_scale(quantity), 'until=' || to_char(period_end, 'YYYY-MM-DD"T"HH24:MI"Z"'),
            'at=' || place) ELSE 'nothing' END AS stored,
       concat_ws(' ', trim_scale(wanted), 'until=' || to_char(wanted_end, 'YYYY-MM-DD"T"HH24:MI"Z"'), 'at=' || wanted_place) AS recomputed
  FROM compared
 WHERE (quantity, period_end, place) IS DISTINCT FROM (wanted, wanted_end, wanted_place)
 ORDER BY tenant, metric, period_start
 LIMIT 100
