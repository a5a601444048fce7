-- What a comparison found of one place; it replaces what was found before, also of periods whose edges have moved.
-- A drift is explained by its minutes: what Stripe holds of each, what we sent, and the submissions that lie in it.
-- Usage records have no minutes: named are those not settled, and the newest.
-- $1 text tenant, $2 text metric, $3 text customer, $4 text event_name, $5 text subscription item or null
-- $6 timestamptz, $7 timestamptz: the period
-- $8 numeric sent, $9 numeric open, $10 numeric Stripe's, $11 numeric drift
-- $12 int8: run_id
-- $13 timestamptz[] minutes that differ, $14 numeric[] what Stripe holds of each, null for nothing
-- $15 bool: Stripe's figure can be but one: nothing is open, or what is adds up to nothing either way
-- Where both agree and nothing is open, the place is known since the last restore, if the run began after it: an hour
-- later, since Stripe's figures come late, but where `restore accept` or a sink has seen to that.
WITH told AS (
    UPDATE reconcile_runs SET beat_at = clock_timestamp() WHERE run_id = $12
), moved AS (
    DELETE FROM usage_drift
     WHERE tenant = $1 AND metric = $2 AND stripe_customer_id = $3 AND event_name = coalesce($5, $4)
       AND period_start <> $6::timestamptz AND period_start < $7::timestamptz AND period_end > $6::timestamptz
), proven AS (
    INSERT INTO restore_proofs AS p (stripe_customer_id, place, from_at, until_at, proven_for)
    SELECT $3, coalesce($5, $4), $6::timestamptz, $7::timestamptz, max(r.restored_at)
      FROM ledger_restores r
      JOIN reconcile_runs n ON n.run_id = $12
                           AND n.started_at >= r.restored_at + CASE WHEN n.reason = 'restore' AND r.held_from <= now()
                                                                  THEN interval '0' ELSE interval '1 hour' END
     WHERE $6::timestamptz < r.restored_at AND $15::bool AND $11::numeric = 0
    HAVING max(r.restored_at) IS NOT NULL
        ON CONFLICT (stripe_customer_id, place, from_at, until_at) DO UPDATE
       SET proven_for = greatest(p.proven_for, excluded.proven_for), proven_at = excluded.proven_at
), odd AS (
    SELECT o.minute, o.held
      FROM unnest($13::timestamptz[], $14::numeric[]) AS o (minute, held)
    UNION ALL
    SELECT NULL, $10::numeric WHERE $5::text IS NOT NULL AND $11::numeric <> 0
), named AS (
    SELECT o.minute, o.held, s.*
      FROM odd o
      LEFT JOIN LATERAL (
           SELECT sum(u.quantity) FILTER (WHERE u.state = 'sent') AS sent,
                  jsonb_agg(jsonb_build_object('identifier', u.identifier, 'state', u.state,
                            'quantity', trim_scale(u.quantity)::text, 'usage_at', u.usage_at,
                            'request_id', u.request_id) ORDER BY u.usage_at, u.created_at) AS submissions
             FROM (SELECT x.*
                     FROM usage_submissions x
                    WHERE x.stripe_customer_id = $3 AND x.event_name = $4
                      AND x.stripe_subscription_item_id IS NOT DISTINCT FROM $5
                      AND (x.usage_at = o.minute OR o.minute IS NULL AND x.tenant = $1 AND x.metric = $2
                           AND x.usage_at >= $6::timestamptz AND x.usage_at < $7::timestamptz)
                    ORDER BY x.state = 'sent', x.usage_at DESC
                    LIMIT 100) AS u) AS s ON true
), explained AS (
    SELECT coalesce(jsonb_agg(jsonb_build_object('minute', minute, 'stripe', trim_scale(held)::text,
                              'sent', trim_scale(sent)::text, 'submissions', coalesce(submissions, '[]'))
                              ORDER BY minute), '[]') AS list
      FROM named
)
INSERT INTO usage_drift AS d (tenant, metric, stripe_customer_id, event_name, period_start, period_end,
                              sent_quantity, open_quantity, stripe_quantity, drift_units, explanation, run_id,
                              checked_at)
SELECT $1, $2, $3, coalesce($5, $4), $6::timestamptz, $7::timestamptz, $8::numeric, $9::numeric, $10::numeric,
       $11::numeric, e.list, $12, now()
  FROM explained e
    ON CONFLICT (tenant, metric, period_start, stripe_customer_id, event_name) DO UPDATE
   SET period_end = excluded.period_end, sent_quantity = excluded.sent_quantity,
       open_quantity = excluded.open_quantity, stripe_quantity = excluded.stripe_quantity,
       drift_units = excluded.drift_units, explanation = excluded.explanation, run_id = excluded.run_id,
       checked_at = excluded.checked_at
