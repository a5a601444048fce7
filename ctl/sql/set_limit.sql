-- A tenant's own limit: what is NULL stays as it is, or as the plan has it.
-- $1 text: tenant
-- $2 text: metric
-- $3 numeric: included, or NULL
-- $4 boolean: unlimited, or NULL
-- $5 text: cap, or NULL
insert into tenant_limits as l (tenant, metric, included, unlimited, cap)
values ($1::text, $2::text, $3::numeric, coalesce($4::boolean, false), $5::text)
on conflict (tenant, metric) do update
   set included = case when $4::boolean then null else coalesce($3::numeric, l.included) end,
       unlimited = coalesce($4::boolean, l.unlimited and $3::numeric is null),
       cap = coalesce($5::text, l.cap)
