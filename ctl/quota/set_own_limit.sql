-- Set a tenant's own limit. NULL leaves a part as it is, or as the plan has it. No row is changed if the metric may not
-- have that window, or the end is over.
-- $1 text: tenant
-- $2 text: metric
-- $3 numeric: included, or NULL
-- $4 boolean: unlimited, or NULL
-- $5 text: cap, or NULL
-- $6 text: window, or NULL
-- $7 text: until when, or NULL; never: without an end
INSERT INTO tenant_limits AS l (tenant, metric, included, unlimited, cap, limit_window, until)
SELECT $1::text, $2::text, $3::numeric, coalesce($4::boolean, false), $5::text, $6::text, nullif($7::text, 'never')::timestamptz
 WHERE (nullif($7::text, 'never')::timestamptz > now()) IS NOT FALSE
   AND ($6::text IN ('month', 'day')) IS NOT TRUE
    OR EXISTS (SELECT FROM metrics m WHERE m.metric = $2::text AND m.aggregation IN ('sum', 'count', 'max'))
       AND (nullif($7::text, 'never')::timestamptz > now()) IS NOT FALSE
ON CONFLICT (tenant, metric) DO UPDATE
   SET included = CASE WHEN $4::boolean THEN NULL ELSE coalesce($3::numeric, l.included) END,
       unlimited = coalesce($4::boolean, l.unlimited AND $3::numeric IS NULL),
       cap = coalesce($5::text, l.cap), limit_window = coalesce($6::text, l.limit_window),
       until = CASE WHEN $7::text IS NULL THEN l.until ELSE nullif($7::text, 'never')::timestamptz END
