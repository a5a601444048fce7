-- What is wrong with own limits that a tenant is to have, one row, or none.
-- $1 text: tenant; $2 json: the limits; $3 boolean: the tenant may be unknown
WITH given AS (
    SELECT x.place - 1 AS place, g.*
      FROM json_array_elements($2::json) WITH ORDINALITY AS x (item, place)
     CROSS JOIN LATERAL json_to_record(x.item) AS g (
           metric text, included numeric, unlimited boolean, cap text, "window" text, until timestamptz, unit_price numeric,
           currency text)
), faults AS (
    SELECT -1 AS place, 0 AS rank, 'missing' AS kind, 'tenant' AS param, '' AS message
     WHERE NOT $3::boolean AND NOT is_known_tenant($1::text)
    UNION ALL
    SELECT g.place, f.rank, 'bad', format('limits[%s]%s', g.place, '.' || f.param), f.message
      FROM given g
      LEFT JOIN metrics m ON m.metric = g.metric AND m.retired_at IS NULL
     CROSS JOIN LATERAL (VALUES
           (1, m.metric IS NULL, 'metric', 'is no metric of the catalog'),
           (2, EXISTS (SELECT FROM given b WHERE b.metric = g.metric AND b.place < g.place), 'metric', 'is listed twice'),
           (3, g.included IS NOT NULL AND g.unlimited, 'included', 'cannot stand beside unlimited'),
           (4, g."window" IN ('month', 'day') AND m.aggregation NOT IN ('sum', 'count', 'max'), 'window',
            format('must be period: the metric''s aggregation is %s, and only sum, count and max can be counted by month or day',
                   m.aggregation)),
           (5, g.until <= now(), 'until', 'is over'),
           (6, g.unit_price IS NOT NULL AND g.currency IS NULL, 'currency', 'is missing: unit_price is there'),
           (7, g.currency IS NOT NULL AND g.unit_price IS NULL, 'unit_price', 'is missing: currency is there'),
           (8, g.unit_price >= 1e12, 'unit_price', 'must have at most 12 digits before the point'),
           (9, g.currency !~ '^[a-z]{3}$', 'currency', 'must be three lower-case letters, such as usd'),
           (10, num_nonnulls(g.included, nullif(g.unlimited, false), g.cap, g."window", g.unit_price) = 0, 'included',
            'is missing: the limit says nothing'))
           AS f (rank, is_so, param, message)
     WHERE f.is_so
)
SELECT kind, param, message FROM faults ORDER BY place, rank LIMIT 1
