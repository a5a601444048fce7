-- The next tenants in order, for healing the quota cache page by page.
-- $1 text the last tenant of the page before ('' at first); $2 int8 how many
WITH RECURSIVE page AS (
    (SELECT tenant, 1 AS n FROM usage_totals WHERE tenant > $1 ORDER BY tenant LIMIT 1)
    UNION ALL
    SELECT (SELECT t.tenant FROM usage_totals t WHERE t.tenant > p.tenant ORDER BY t.tenant LIMIT 1), p.n + 1
      FROM page p WHERE p.tenant IS NOT NULL AND p.n < $2::bigint
)
SELECT tenant FROM page WHERE tenant IS NOT NULL
