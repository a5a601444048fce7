-- Set a tenant's own limit. NULL leaves a part as it is, or as the plan has it.
-- $1 text: tenant
-- $2 text: metric
-- $3 numeric: included, or NULL
-- $4 boolean: unlimited, or NULL
-- $5 text: cap, or NULL
INSERT INTO tenant_limits AS l (tenant, metric, included, unlimited, cap)
VALUES ($1::text, $2::text, $3::numeric, coalesce($4::boolean, false), $5::text)
ON CONFLICT (tenant, metric) DO UPDATE
   SET included = CASE WHEN $4::boolean THEN NULL ELSE coalesce($3::numeric, l.included) END,
       unlimited = coalesce($4::boolean, l.unlimited AND $3::numeric IS NULL),
       cap = coalesce($5::text, l.cap)
