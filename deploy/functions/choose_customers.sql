-- By which customer is each tenant billed? By the one with a standing subscription, else by the one whose subscription
-- ended last, else by the first one; a deleted one only if there is no other. If two have a standing subscription, the
-- first one keeps the tenant, nothing is sent, and a person decides (`meterctl customers move`): then it is the one that
-- was decided on, until it is deleted. Returns the tenants that two claim.
CREATE OR REPLACE FUNCTION choose_customers(p_tenants text[]) RETURNS text[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    contested text[];
BEGIN
    -- A customer that goes over to another tenant.
    DELETE FROM billing_customers b
     USING stripe_customers c
     WHERE c.tenant = ANY (p_tenants) AND b.stripe_customer_id = c.stripe_customer_id AND b.tenant <> c.tenant;

    WITH candidates AS MATERIALIZED (
        SELECT c.tenant, c.stripe_customer_id AS id, c.email, c.deleted_at, coalesce(c.created_at, c.seen_at) AS created_at,
               c.chosen_at, s.standing_since, s.ended_at
          FROM unnest(p_tenants) t (tenant)
          JOIN stripe_customers c ON c.tenant = t.tenant
         CROSS JOIN LATERAL (
               SELECT min(x.started_at) FILTER (WHERE x.status NOT IN ('canceled', 'incomplete', 'incomplete_expired'))
                          AS standing_since,
                      max(x.ended_at) AS ended_at
                 FROM subscriptions x
                WHERE x.tenant = c.tenant AND x.stripe_customer_id = c.stripe_customer_id) s
    ), standing AS (
        SELECT tenant, (array_agg(standing_since ORDER BY standing_since))[2] AS contested_since
          FROM candidates
         WHERE standing_since IS NOT NULL AND deleted_at IS NULL
         GROUP BY tenant
        HAVING NOT EXISTS (SELECT FROM candidates d
                            WHERE d.tenant = candidates.tenant AND d.chosen_at IS NOT NULL AND d.deleted_at IS NULL)
    ), chosen AS (
        SELECT DISTINCT ON (c.tenant) c.tenant, c.id, c.email, c.deleted_at, s.contested_since
          FROM candidates c LEFT JOIN standing s USING (tenant)
         ORDER BY c.tenant, c.deleted_at DESC NULLS FIRST, c.chosen_at DESC NULLS LAST, c.standing_since IS NULL, c.ended_at DESC NULLS LAST,
                  c.created_at, c.id
    ), written AS (
        INSERT INTO billing_customers AS b (tenant, stripe_customer_id, email, deleted_at, contested_since)
        SELECT tenant, id, email, deleted_at, contested_since FROM chosen
        ON CONFLICT (tenant) DO UPDATE
           SET stripe_customer_id = excluded.stripe_customer_id, email = excluded.email,
               deleted_at = excluded.deleted_at, contested_since = excluded.contested_since, updated_at = now()
         WHERE (b.stripe_customer_id, b.email, b.deleted_at, b.contested_since)
               IS DISTINCT FROM (excluded.stripe_customer_id, excluded.email, excluded.deleted_at, excluded.contested_since)
        RETURNING b.tenant, b.contested_since
    )
    SELECT coalesce(array_agg(tenant) FILTER (WHERE contested_since IS NOT NULL), '{}') INTO contested FROM written;
    RETURN contested;
END $$;

COMMENT ON FUNCTION choose_customers IS 'Stores by which customer tenants are billed, and returns those that two customers claim.';
