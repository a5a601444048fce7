-- Totals that are newer than their claims, in the order of their key, with all that the rule asks. What has
-- no customer is not read: usage_unbilled shows it. What was claimed is summed up anew where a period's edges may have
-- moved since, or something is held: what is held does not count as claimed, so that it is judged anew. Values that
-- replace each other (not additive) count as claimed where they would be sent today. A sum that fell below what was
-- claimed has the place to subtract from, if there is one.
-- What was not compared with Stripe since a restore is not read either: see restore_unproven.
-- That is asked last, of those rows that all else leaves.
-- Each step is materialized, so that nothing is asked twice of a row. The first one goes along the key and stops at the
-- limit (see lock_claims.sql); each table in it begins at the place given.
-- $1 text, $2 text, $3 timestamptz: tenant, metric and period_start after which to go on
-- $4 int8: rows at most
-- $5 text[]: transports of this build
-- $6 text[]: tenants; NULL: all
-- $7 int8: those of that half, 1 or 2; 0: all
-- $8 int8: sink_hold; not 0: those that are released
WITH dirty AS MATERIALIZED (
    SELECT o.tenant, o.metric, o.period_start, o.period_end, o.quantity, o.version,
           b.stripe_customer_id AS customer, c.claimed, coalesce(c.claims, 0) AS claims, c.first_at, c.last_at,
           c.periods_version AS summed_version
      FROM usage_totals o
      JOIN billing_customers b ON b.tenant = o.tenant AND b.deleted_at IS NULL AND b.contested_since IS NULL
                              AND b.tenant >= $1
      LEFT JOIN usage_claims c ON (c.tenant, c.metric, c.period_start) = (o.tenant, o.metric, o.period_start)
                              AND (c.tenant, c.metric, c.period_start) > ($1, $2, $3)
     WHERE (o.tenant, o.metric, o.period_start) > ($1, $2, $3)
       AND ($6::text[] IS NULL OR o.tenant = ANY ($6))
       AND ($7::int8 = 0 OR (hashtext(o.tenant) & 1) + 1 = $7)
       AND ($8::int8 = 0 OR is_released(o.tenant, $8))
       AND CASE WHEN o.version > coalesce(c.version, -1)
                THEN is_proven(o.tenant, o.metric, b.stripe_customer_id, o.period_start, o.period_end,
                               (SELECT proof_needed_before())) END
       AND o.metric = ANY (ARRAY(SELECT metric FROM metrics WHERE transport = ANY ($5::text[])))
     ORDER BY o.tenant, o.metric, o.period_start
     LIMIT $4
), known AS MATERIALIZED (
    -- Most periods are told by Stripe, or are calendar months of tenants that have no subscription. A period that was
    -- never claimed and has no submission needs no sum.
    SELECT t.*, m.aggregation IN ('sum', 'count') AS additive, m.transport, m.stripe_event_name AS event_name,
           coalesce(v.version, 0) AS periods_version,
           CASE WHEN e.stripe_subscription_id IS NOT NULL THEN e.stripe_subscription_id
                WHEN EXISTS (SELECT FROM subscriptions x WHERE x.tenant = t.tenant)
                THEN (SELECT stripe_subscription_id FROM billing_period(t.tenant, t.period_start))
           END AS subscription,
           CASE WHEN t.claimed IS NULL
                THEN EXISTS (SELECT FROM usage_submissions n
                              WHERE (n.tenant, n.metric) = (t.tenant, t.metric) AND n.usage_at >= t.period_start)
                     OR (SELECT EXISTS (SELECT FROM usage_submissions WHERE carried))
                        AND EXISTS (SELECT FROM usage_submissions n
                                 WHERE n.carried AND (n.tenant, n.metric) = (t.tenant, t.metric)
                                   AND n.period_start >= t.period_start)
                ELSE t.summed_version < coalesce(v.version, 0) END
           OR ((SELECT EXISTS (SELECT FROM usage_submissions WHERE state = 'held'))
               AND EXISTS (SELECT FROM usage_submissions n
                            WHERE n.state = 'held' AND (n.tenant, n.metric) = (t.tenant, t.metric))) AS stale
      FROM dirty t
      JOIN metrics m USING (metric)
      LEFT JOIN billing_period_changes v USING (tenant)
      LEFT JOIN billing_periods e USING (tenant, period_start)
), summed AS MATERIALIZED (
    SELECT k.*, CASE WHEN k.stale
                     THEN sum_submissions(k.tenant, k.metric, k.period_start, k.period_end, k.customer, k.event_name)
                     ELSE row(coalesce(k.claimed, 0), NULL, NULL, k.first_at, k.last_at)::submission_sums END AS sums,
           CASE WHEN k.transport = 'usage_records'
                THEN (SELECT (array_agg(x.stripe_subscription_item_id ORDER BY x.stripe_subscription_item_id DESC))[1]
                        FROM subscription_items x
                       WHERE x.stripe_subscription_id = k.subscription AND x.metric = k.metric) END AS item
      FROM known k
), placed AS MATERIALIZED (
    SELECT u.*, CASE WHEN u.additive AND floor(u.quantity) < (u.sums).claimed
                     THEN subtract_place(u.tenant, u.metric, u.period_start, u.period_end, u.customer, u.event_name,
                                         (u.sums).claimed - floor(u.quantity)) END AS place
      FROM summed u
)
SELECT d.tenant, d.metric, d.period_start, d.period_end, d.quantity, d.version, d.additive,
       d.transport, d.event_name, d.customer, d.item,
       d.subscription IS NULL AND is_subscriber(d.tenant) AS outside,
       d.transport = 'usage_records' AND d.item IS NULL AS unmapped,
       billed_from(d.period_start, s.billing_cycle_anchor, s.started_at),
       d.period_end <= now() AND has_final_invoice(d.tenant, d.subscription, d.period_end) AS invoice_final,
       (d.sums).claimed, (d.sums).held, d.claims, (d.sums).first_at, (d.sums).last_at,
       CASE WHEN d.additive AND d.period_end <= now()
            THEN free_minute(d.tenant, d.metric, d.period_start, d.period_end,
                             coalesce((d.place).customer, d.customer), coalesce((d.place).event_name, d.event_name))
       END AS free_at,
       d.periods_version, d.stale AND (d.claimed IS NOT NULL OR (d.sums).last_at IS NOT NULL) AS resummed,
       (d.sums).identifiers AS replaced, NULL::timestamptz,
       (d.place).*
  FROM placed d
  LEFT JOIN subscriptions s ON s.stripe_subscription_id = d.subscription
 ORDER BY d.tenant, d.metric, d.period_start
