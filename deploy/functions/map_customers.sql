-- Whose are the customers in a batch of observations? Returns those whose tenant is another one since. What says so
-- first is kept: a customer's own metadata, else a subscription's, an invoice's, or the reference of a checkout.
CREATE OR REPLACE FUNCTION map_customers(p_batch jsonb) RETURNS text[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    changed text[];
BEGIN
    WITH told AS MATERIALIZED (
        SELECT n.customer, n.tenant, to_timestamp(coalesce(n.created, n.fetched_ms / 1000)) AS at,
               CASE n.kind WHEN 'customer' THEN 0 WHEN 'subscription' THEN 1 WHEN 'invoice' THEN 2 ELSE 3 END::smallint AS rank
          FROM jsonb_to_recordset(p_batch) AS n (customer text, kind text, tenant text, created float8, fetched_ms float8)
         WHERE n.customer IS NOT NULL
    ), claims AS (
        SELECT DISTINCT ON (customer) customer, tenant, CASE WHEN tenant IS NOT NULL THEN rank END AS rank,
               CASE WHEN tenant IS NOT NULL THEN at END AS claimed_at, min(at) OVER (PARTITION BY customer) AS seen_at
          FROM told
         ORDER BY customer, tenant IS NULL, rank, at, tenant
    ), own AS (
        SELECT c.customer,
               (SELECT o.facts ->> 'email' FROM stripe_observations o
                 WHERE o.object_id = c.customer AND o.is_last AND NOT (o.is_final AND o.event_id = '')
                 ORDER BY o.is_final DESC, o.created_at DESC, o.event_id LIMIT 1) AS email,
               (SELECT (o.facts ->> 'balance_minor')::bigint FROM stripe_observations o
                 WHERE o.object_id = c.customer AND o.is_last AND o.facts ? 'balance_minor'
                 ORDER BY o.created_at DESC, o.event_id LIMIT 1) AS balance,
               (SELECT min(fact_time(o.facts, 'created_at')) FROM stripe_observations o
                 WHERE o.object_id = c.customer) AS created_at,
               (SELECT o.created_at FROM stripe_observations o
                 WHERE o.object_id = c.customer AND o.is_final
                 ORDER BY o.event_id = '', o.created_at LIMIT 1) AS deleted_at
          FROM claims c
    ), before AS MATERIALIZED (
        SELECT s.* FROM claims c JOIN stripe_customers s ON s.stripe_customer_id = c.customer
    ), merged AS (
        SELECT c.customer, k.tenant, k.rank, k.claimed_at, o.email, coalesce(o.balance, b.balance_minor) AS balance, coalesce(o.created_at, b.created_at) AS created_at,
               least(c.seen_at, b.seen_at) AS seen_at, coalesce(o.deleted_at, b.deleted_at) AS deleted_at
          FROM claims c
          JOIN own o USING (customer)
          LEFT JOIN before b ON b.stripe_customer_id = c.customer
         CROSS JOIN LATERAL (
               SELECT * FROM (VALUES (c.tenant, c.rank, c.claimed_at), (b.tenant, b.claim_rank, b.claimed_at))
                             AS x (tenant, rank, claimed_at)
                ORDER BY x.rank NULLS LAST, x.claimed_at, x.tenant LIMIT 1) k
    ), written AS (
        INSERT INTO stripe_customers AS s (stripe_customer_id, tenant, claim_rank, claimed_at, email, balance_minor, created_at, seen_at,
                                           deleted_at)
        SELECT m.* FROM merged m
          LEFT JOIN before b ON b.stripe_customer_id = m.customer
         WHERE b.stripe_customer_id IS NULL
            OR (m.tenant, m.rank, m.claimed_at, m.email, m.balance, m.created_at, m.seen_at, m.deleted_at)
               IS DISTINCT FROM (b.tenant, b.claim_rank, b.claimed_at, b.email, b.balance_minor, b.created_at, b.seen_at, b.deleted_at)
        ON CONFLICT (stripe_customer_id) DO UPDATE
           SET tenant = excluded.tenant, claim_rank = excluded.claim_rank, claimed_at = excluded.claimed_at,
               email = excluded.email, balance_minor = excluded.balance_minor, created_at = excluded.created_at, seen_at = excluded.seen_at,
               deleted_at = excluded.deleted_at, updated_at = now()
        RETURNING s.stripe_customer_id, s.tenant
    )
    SELECT coalesce(array_agg(w.stripe_customer_id), '{}') INTO changed
      FROM written w LEFT JOIN before b USING (stripe_customer_id)
     WHERE w.tenant IS DISTINCT FROM b.tenant;
    RETURN changed;
END $$;

COMMENT ON FUNCTION map_customers IS 'Notes whose customers are, and returns those that belong to another tenant since.';
