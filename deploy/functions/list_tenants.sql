-- A page of the tenants that have quotas, usage or a subscription, in order. It skips from tenant to tenant in the
-- indexes. One whose plan limits nothing has no quotas, and before its first use no usage.
-- p_after: after this tenant; p_most: the most tenants of a page.
CREATE OR REPLACE FUNCTION list_tenants(p_after text, p_most bigint) RETURNS TABLE (tenant text)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    WITH RECURSIVE used AS (
        SELECT (SELECT min(t.tenant) FROM usage_totals t WHERE t.tenant > p_after) AS tenant
        UNION ALL
        SELECT (SELECT min(t.tenant) FROM usage_totals t WHERE t.tenant > used.tenant)
          FROM used WHERE used.tenant IS NOT NULL
    ), limited AS (
        SELECT (SELECT min(q.tenant) FROM usage_quotas q WHERE q.tenant > p_after) AS tenant
        UNION ALL
        SELECT (SELECT min(q.tenant) FROM usage_quotas q WHERE q.tenant > limited.tenant)
          FROM limited WHERE limited.tenant IS NOT NULL
    ), subscribed AS (
        SELECT (SELECT min(s.tenant) FROM subscriptions s WHERE s.tenant > p_after) AS tenant
        UNION ALL
        SELECT (SELECT min(s.tenant) FROM subscriptions s WHERE s.tenant > subscribed.tenant)
          FROM subscribed WHERE subscribed.tenant IS NOT NULL
    )
    SELECT a.tenant
      FROM ((SELECT u.tenant FROM used u WHERE u.tenant IS NOT NULL LIMIT p_most)
            UNION
            (SELECT l.tenant FROM limited l WHERE l.tenant IS NOT NULL LIMIT p_most)
            UNION
            (SELECT s.tenant FROM subscribed s WHERE s.tenant IS NOT NULL LIMIT p_most)) a
     ORDER BY a.tenant
     LIMIT p_most
$$;

COMMENT ON FUNCTION list_tenants IS 'A page of the tenants that have quotas, usage or a subscription.';
