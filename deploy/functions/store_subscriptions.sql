-- Makes subscriptions, their items and the history of their states what their observations say. Returns those that
-- changed, and whether their tenant's periods or limits follow.
--
-- The newest observation holds; but what has ended stays so, whatever tells of it later. A plan that no price or
-- metadata names any more is the last known one. Items that Stripe left out of a long list are those of the
-- observations before.
CREATE OR REPLACE FUNCTION store_subscriptions(p_subscriptions text[])
RETURNS TABLE (subscription text, tenant text, old_tenant text, moves_periods boolean, moves_limits boolean,
               plan_is_unknown boolean)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH line AS MATERIALIZED (
        SELECT o.object_id, o.created_at, o.event_id, o.customer_id, c.tenant, o.status, o.shape, o.facts,
               o.starts_at, o.ends_at, row_number() OVER w AS place,
               lag(o.shape) OVER w IS DISTINCT FROM o.shape AS is_new,
               lead(o.object_id) OVER w IS NULL AS is_current,
               max(o.created_at) FILTER (WHERE o.event_id <> '') OVER (PARTITION BY o.object_id) AS newest
          FROM (SELECT x.*, min(x.created_at) FILTER (WHERE x.is_final) OVER (PARTITION BY x.object_id) AS final_at
                  FROM unnest(p_subscriptions) s (id)
                  JOIN stripe_observations x ON x.object_id = s.id AND x.is_last) o
          JOIN stripe_customers c ON c.stripe_customer_id = o.customer_id AND c.tenant IS NOT NULL
         WHERE o.final_at IS NULL OR o.is_final OR o.created_at <= o.final_at
        WINDOW w AS (PARTITION BY o.object_id ORDER BY o.created_at, o.event_id = '')
    ), told AS (   -- a row for each state, with the plan that it names
        SELECT l.*, p.plan AS told_plan, p.quantity,
               count(p.plan) OVER (PARTITION BY l.object_id ORDER BY l.place) AS plans_told
          FROM line l
          LEFT JOIN LATERAL (
               SELECT x.plan, x.quantity
                 FROM (SELECT p.plan, greatest(i.quantity, 1) AS quantity,
                              CASE p.plan_rank WHEN 0 THEN 0 ELSE p.plan_rank + 1 END AS way, i.id
                         FROM jsonb_to_recordset(l.facts -> 'items') AS i (id text, price text, quantity bigint)
                         JOIN stripe_prices p ON p.stripe_price_id = i.price AND p.plan IS NOT NULL
                       UNION ALL
                       SELECT n.plan, 1, 1, '' FROM plans n WHERE n.plan = l.facts ->> 'plan_name') x
                 JOIN plans n USING (plan)
                ORDER BY x.way, n.base_amount_minor DESC, x.plan, x.id LIMIT 1) p ON true
         WHERE l.is_new
    ), states AS MATERIALIZED (
        SELECT t.*, coalesce(first_value(t.told_plan) OVER w, k.plan) AS plan,
               first_value(t.quantity) OVER w AS plan_quantity,
               t.place = 1 AND k.shape IS NOT DISTINCT FROM t.shape AS is_kept
          FROM told t
          -- What it was before the oldest observation that is kept.
          LEFT JOIN LATERAL (SELECT x.plan, x.shape FROM subscription_states x
                              WHERE x.stripe_subscription_id = t.object_id
                                AND x.valid_from < (SELECT date_trunc('second', min(l.created_at)) FROM line l
                                                     WHERE l.object_id = t.object_id)
                              ORDER BY x.valid_from DESC LIMIT 1) k ON true
        WINDOW w AS (PARTITION BY t.object_id, t.plans_told ORDER BY t.place)
    ), current AS MATERIALIZED (
        SELECT l.*, s.plan, coalesce(s.plan_quantity, 1) AS plan_quantity, s.told_plan IS NULL AS plan_is_unknown,
               CASE WHEN l.status = 'past_due' THEN past_due_since(l.object_id) END AS past_due_since
          FROM line l
         CROSS JOIN LATERAL (SELECT x.* FROM states x WHERE x.object_id = l.object_id ORDER BY x.place DESC LIMIT 1) s
         WHERE l.is_current
    ), before AS MATERIALIZED (
        SELECT b.* FROM current c JOIN subscriptions b ON b.stripe_subscription_id = c.object_id
    ), written AS (
        INSERT INTO subscriptions AS s (
               stripe_subscription_id, tenant, stripe_customer_id, plan, plan_quantity, status, current_period_start,
               current_period_end, billing_cycle_anchor, billing_interval, interval_count, started_at, ended_at,
               cancel_at_period_end, cancel_at, canceled_at, cancel_reason, past_due_since, trial_start, trial_end,
               collection_paused, collection_resumes_at, collection_method, billing_mode, schedule, discounts,
               tax_rates, automatic_tax, latest_invoice, currency, event_created)
        SELECT c.object_id, c.tenant, c.customer_id, c.plan, c.plan_quantity, c.status, c.starts_at, c.ends_at,
               fact_time(c.facts, 'billing_cycle_anchor'), c.facts ->> 'billing_interval',
               (c.facts ->> 'interval_count')::integer, fact_time(c.facts, 'started_at'),
               -- Without an end its periods would go on for ever.
               coalesce(fact_time(c.facts, 'ended_at'),
                        CASE WHEN c.status IN ('canceled', 'incomplete_expired') THEN date_trunc('second', c.created_at) END),
               coalesce((c.facts ->> 'cancel_at_period_end')::boolean, false),
               coalesce(fact_time(c.facts, 'cancel_at'),
                        CASE WHEN c.facts ? 'cancel_at_period_end' THEN c.ends_at END),
               fact_time(c.facts, 'canceled_at'), c.facts ->> 'cancel_reason', c.past_due_since,
               fact_time(c.facts, 'trial_start'), fact_time(c.facts, 'trial_end'), c.facts ->> 'collection_paused',
               fact_time(c.facts, 'collection_resumes_at'), c.facts ->> 'collection_method', c.facts ->> 'billing_mode',
               c.facts ->> 'schedule', coalesce(c.facts -> 'discounts', '[]'), coalesce(c.facts -> 'tax_rates', '[]'),
               coalesce((c.facts ->> 'automatic_tax')::boolean, false), c.facts ->> 'latest_invoice',
               c.facts ->> 'currency', c.newest
          FROM current c
        ON CONFLICT (stripe_subscription_id) DO UPDATE
           SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id, plan = excluded.plan,
               plan_quantity = excluded.plan_quantity, status = excluded.status,
               current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
               billing_cycle_anchor = excluded.billing_cycle_anchor, billing_interval = excluded.billing_interval,
               interval_count = excluded.interval_count, started_at = excluded.started_at, ended_at = excluded.ended_at,
               cancel_at_period_end = excluded.cancel_at_period_end, cancel_at = excluded.cancel_at,
               canceled_at = excluded.canceled_at, cancel_reason = excluded.cancel_reason,
               past_due_since = excluded.past_due_since, trial_start = excluded.trial_start,
               trial_end = excluded.trial_end, collection_paused = excluded.collection_paused,
               collection_resumes_at = excluded.collection_resumes_at, collection_method = excluded.collection_method,
               billing_mode = excluded.billing_mode, schedule = excluded.schedule, discounts = excluded.discounts,
               tax_rates = excluded.tax_rates, automatic_tax = excluded.automatic_tax, latest_invoice = excluded.latest_invoice, currency = excluded.currency,
               event_created = excluded.event_created, updated_at = now()
    ), items AS MATERIALIZED (
        SELECT DISTINCT ON (c.object_id, i.id) c.object_id, c.tenant, i.*
          FROM current c
          JOIN line l ON l.object_id = c.object_id
           AND l.place >= CASE WHEN c.facts ? 'items_cut'
                               THEN coalesce((SELECT max(x.place) FROM line x
                                               WHERE x.object_id = c.object_id AND NOT x.facts ? 'items_cut'), 1)
                               ELSE c.place END
         CROSS JOIN LATERAL jsonb_to_recordset(l.facts -> 'items')
                    AS i (id text, price text, metric text, quantity bigint, "start" float8, "end" float8,
                          discounts jsonb, tax_rates jsonb)
         ORDER BY c.object_id, i.id, l.place DESC
    ), gone AS (
        DELETE FROM subscription_items x USING current c
         WHERE x.stripe_subscription_id = c.object_id
           AND NOT EXISTS (SELECT FROM items i WHERE i.id = x.stripe_subscription_item_id)
    ), kept AS (
        INSERT INTO subscription_items AS x (
               stripe_subscription_item_id, stripe_subscription_id, tenant, metric, stripe_price_id, quantity,
               current_period_start, current_period_end, currency, unit_amount, tiers, billing_interval, interval_count,
               usage_type, discounts, tax_rates)
        SELECT i.id, i.object_id, i.tenant, coalesce(m.metric, p.metric), i.price, i.quantity, to_timestamp(i."start"),
               to_timestamp(i."end"), p.currency, p.unit_amount, p.tiers, p.billing_interval, p.interval_count, p.usage_type,
               coalesce(i.discounts, '[]'), coalesce(i.tax_rates, '[]')
          FROM items i
          LEFT JOIN metrics m ON m.metric = i.metric
          LEFT JOIN stripe_prices p ON p.stripe_price_id = i.price
        ON CONFLICT (stripe_subscription_item_id) DO UPDATE
           SET stripe_subscription_id = excluded.stripe_subscription_id, tenant = excluded.tenant,
               metric = excluded.metric, stripe_price_id = excluded.stripe_price_id, quantity = excluded.quantity,
               current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
               currency = excluded.currency, unit_amount = excluded.unit_amount, tiers = excluded.tiers,
               billing_interval = excluded.billing_interval, interval_count = excluded.interval_count,
               usage_type = excluded.usage_type, discounts = excluded.discounts, tax_rates = excluded.tax_rates
         WHERE (x.*) IS DISTINCT FROM (excluded.*)
    ), states_gone AS (   -- those before the oldest observation that is kept stay
        DELETE FROM subscription_states x
         USING (SELECT l.object_id, date_trunc('second', min(l.created_at)) AS since FROM line l GROUP BY l.object_id) f
         WHERE x.stripe_subscription_id = f.object_id AND x.valid_from >= f.since
           AND NOT EXISTS (SELECT FROM states s WHERE s.object_id = x.stripe_subscription_id AND NOT s.is_kept
                              AND date_trunc('second', s.created_at) = x.valid_from)
        RETURNING x.stripe_subscription_id AS id
    ), states_kept AS (
        INSERT INTO subscription_states AS x (
               stripe_subscription_id, valid_from, tenant, stripe_customer_id, plan, status, currency, items, discounts,
               cancel_at, cancel_reason, collection_paused, shape)
        SELECT DISTINCT ON (s.object_id, date_trunc('second', s.created_at))
               s.object_id, date_trunc('second', s.created_at), s.tenant, s.customer_id, s.plan, s.status,
               s.facts ->> 'currency',
               (SELECT coalesce(jsonb_agg(i - 'start' - 'end' - 'tax_rates'), '[]') FROM jsonb_array_elements(s.facts -> 'items') i),
               coalesce(s.facts -> 'discounts', '[]'),
               coalesce(fact_time(s.facts, 'cancel_at'),
                        CASE WHEN s.facts ? 'cancel_at_period_end' THEN s.ends_at END),
               s.facts ->> 'cancel_reason', s.facts ->> 'collection_paused', s.shape
          FROM states s
         WHERE NOT s.is_kept
         ORDER BY s.object_id, date_trunc('second', s.created_at), s.place DESC
        ON CONFLICT (stripe_subscription_id, valid_from) DO UPDATE
           SET tenant = excluded.tenant, stripe_customer_id = excluded.stripe_customer_id, plan = excluded.plan,
               status = excluded.status, currency = excluded.currency, items = excluded.items,
               discounts = excluded.discounts, cancel_at = excluded.cancel_at, cancel_reason = excluded.cancel_reason,
               collection_paused = excluded.collection_paused, shape = excluded.shape
         WHERE (x.*) IS DISTINCT FROM (excluded.*)
        RETURNING x.stripe_subscription_id AS id
    )
    SELECT c.object_id, c.tenant, b.tenant,
           b.stripe_subscription_id IS NULL
           OR (c.tenant, c.status IN ('incomplete', 'incomplete_expired'), fact_time(c.facts, 'billing_cycle_anchor'),
               c.facts ->> 'billing_interval', (c.facts ->> 'interval_count')::integer,
               fact_time(c.facts, 'started_at'), c.status IN ('canceled', 'incomplete_expired'))
              IS DISTINCT FROM
              (b.tenant, b.status IN ('incomplete', 'incomplete_expired'), b.billing_cycle_anchor, b.billing_interval,
               b.interval_count, b.started_at, b.status IN ('canceled', 'incomplete_expired'))
           OR fact_time(c.facts, 'ended_at') IS DISTINCT FROM b.ended_at AND fact_time(c.facts, 'ended_at') IS NOT NULL
           OR has_other_periods(c.object_id, c.tenant),
           (b.tenant, b.plan, b.plan_quantity, b.status, b.past_due_since, b.started_at, b.collection_paused,
            b.collection_resumes_at)
           IS DISTINCT FROM
           (c.tenant, c.plan, c.plan_quantity, c.status, c.past_due_since, fact_time(c.facts, 'started_at'),
            c.facts ->> 'collection_paused', fact_time(c.facts, 'collection_resumes_at'))
           -- A plan that it had before may leave grace.
           OR c.object_id IN (SELECT id FROM states_gone UNION ALL SELECT id FROM states_kept),
           c.plan_is_unknown AND c.status NOT IN ('canceled', 'incomplete_expired')
      FROM current c LEFT JOIN before b ON b.stripe_subscription_id = c.object_id;
END $$;

COMMENT ON FUNCTION store_subscriptions IS 'Makes subscriptions, their items and states what their observations say.';
