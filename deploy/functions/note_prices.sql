-- Notes the prices in a batch of observations, and returns those whose plan or metric is another one since. What a
-- price's plan is was told first by the best of: its lookup key, its metadata, its product's metadata, its product.
CREATE OR REPLACE FUNCTION note_prices(p_batch jsonb) RETURNS text[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    changed text[];
BEGIN
    WITH told AS MATERIALIZED (
        SELECT p.*, to_timestamp(min(coalesce(n.created, n.fetched_ms / 1000))) AS at
          FROM jsonb_to_recordset(p_batch) AS n (created float8, fetched_ms float8, prices jsonb)
         CROSS JOIN LATERAL jsonb_to_recordset(n.prices) AS p (
               id text, product text, currency text, unit_amount numeric, billing_scheme text, tiers_mode text,
               tiers jsonb, divide_by bigint, divide_round text, billing_interval text, interval_count integer,
               usage_type text, meter text, lookup_key text, metric text, plan_name text, product_plan_name text)
         WHERE n.prices IS NOT NULL
         GROUP BY p.id, p.product, p.currency, p.unit_amount, p.billing_scheme, p.tiers_mode, p.tiers, p.divide_by,
                  p.divide_round, p.billing_interval, p.interval_count, p.usage_type, p.meter, p.lookup_key, p.metric,
                  p.plan_name, p.product_plan_name
    ), plan_told AS (
        SELECT DISTINCT ON (t.id) t.id, x.plan, x.plan_rank, t.at AS plan_at
          FROM told t
         CROSS JOIN LATERAL (
               SELECT p.plan, 0::smallint AS plan_rank FROM plans p WHERE p.stripe_lookup_key = t.lookup_key
               UNION ALL SELECT p.plan, 1 FROM plans p WHERE p.plan = t.plan_name
               UNION ALL SELECT p.plan, 2 FROM plans p WHERE p.plan = t.product_plan_name
               UNION ALL SELECT p.plan, 3 FROM plans p WHERE p.plan = t.product) x
         ORDER BY t.id, x.plan_rank, t.at, x.plan
    ), metric_told AS (
        SELECT DISTINCT ON (t.id) t.id, x.metric, x.metric_rank, t.at AS metric_at
          FROM told t
         CROSS JOIN LATERAL (
               SELECT m.metric, 0::smallint AS metric_rank FROM metrics m WHERE m.metric = t.metric
               UNION ALL SELECT m.metric, 1 FROM metrics m WHERE m.metric = t.lookup_key) x
         ORDER BY t.id, x.metric_rank, t.at, x.metric
    ), news AS (
        SELECT DISTINCT ON (t.id) t.*, p.plan AS new_plan, p.plan_rank, p.plan_at, m.metric AS new_metric, m.metric_rank,
               m.metric_at
          FROM told t
          LEFT JOIN plan_told p USING (id)
          LEFT JOIN metric_told m USING (id)
          LEFT JOIN stripe_prices s ON s.stripe_price_id = t.id
         WHERE s.stripe_price_id IS NULL
            OR (s.tiers IS NULL AND t.tiers IS NOT NULL)
            OR (p.plan_rank, p.plan_at) < (coalesce(s.plan_rank, 9), coalesce(s.plan_at, 'infinity'))
            OR (m.metric_rank, m.metric_at) < (coalesce(s.metric_rank, 9), coalesce(s.metric_at, 'infinity'))
         -- Always in the same order, so that nobody deadlocks.
         ORDER BY t.id, t.tiers IS NULL, t.at
    ), before AS MATERIALIZED (
        SELECT s.stripe_price_id, s.plan, s.metric FROM news n JOIN stripe_prices s ON s.stripe_price_id = n.id
    ), written AS (
        INSERT INTO stripe_prices AS s (
               stripe_price_id, plan, plan_rank, plan_at, metric, metric_rank, metric_at, stripe_product_id, lookup_key,
               currency, unit_amount, billing_scheme, tiers_mode, tiers, divide_by, divide_round, billing_interval,
               interval_count, usage_type, meter)
        SELECT id, new_plan, plan_rank, plan_at, new_metric, metric_rank, metric_at, product, lookup_key, currency,
               unit_amount, billing_scheme, tiers_mode, tiers, divide_by, divide_round, billing_interval, interval_count,
               usage_type, meter
          FROM news
        ON CONFLICT (stripe_price_id) DO UPDATE
           SET (plan, plan_rank, plan_at) = (
                   SELECT x.* FROM (VALUES (s.plan, s.plan_rank, s.plan_at),
                                           (excluded.plan, excluded.plan_rank, excluded.plan_at)) x (plan, rank, at)
                    ORDER BY x.rank NULLS LAST, x.at, x.plan LIMIT 1),
               (metric, metric_rank, metric_at) = (
                   SELECT x.* FROM (VALUES (s.metric, s.metric_rank, s.metric_at),
                                           (excluded.metric, excluded.metric_rank, excluded.metric_at)) x (metric, rank, at)
                    ORDER BY x.rank NULLS LAST, x.at, x.metric LIMIT 1),
               tiers = coalesce(s.tiers, excluded.tiers), lookup_key = coalesce(s.lookup_key, excluded.lookup_key),
               updated_at = now()
        RETURNING s.stripe_price_id, s.plan, s.metric
    )
    SELECT coalesce(array_agg(w.stripe_price_id), '{}') INTO changed
      FROM written w LEFT JOIN before b USING (stripe_price_id)
     WHERE (w.plan, w.metric) IS DISTINCT FROM (b.plan, b.metric);
    RETURN changed;
END $$;

COMMENT ON FUNCTION note_prices IS 'Notes prices and what they stand for, and returns those that stand for something else since.';
