-- Stores a subscription, and returns its plan, or NULL if it fits no plan of the catalog.
-- $1 text: Stripe's subscription id
-- $2 text: tenant
-- $3 text: Stripe's customer id
-- $4 jsonb: lookup keys of its prices; $5 jsonb: names that may be its plan, best first
-- $6 text: status
-- $7 bigint, $8 bigint: current period, Unix seconds
-- $9 bigint: billing cycle anchor, Unix seconds
-- $10 text: interval (day, week, month, year); $11 bigint: how many of them
-- $12 bigint: started, Unix seconds; $13 bigint: ended, Unix seconds, or NULL
-- $14 boolean: cancel at period end
-- $15 text: currency, or NULL
-- $16 bigint: created of the event, Unix seconds
WITH wanted AS (
    SELECT p.plan, 0 AS way, k.place
      FROM jsonb_array_elements_text($4::jsonb) WITH ORDINALITY AS k (name, place)
      JOIN plans p ON p.stripe_lookup_key = k.name
    UNION ALL
    SELECT p.plan, 1, n.place
      FROM jsonb_array_elements_text($5::jsonb) WITH ORDINALITY AS n (name, place)
      JOIN plans p ON p.plan = n.name
), event AS (
    SELECT 'epoch'::timestamptz + $16::bigint * interval '1 s' AS created
)
INSERT INTO subscriptions AS s (
       stripe_subscription_id, tenant, stripe_customer_id, plan, status, current_period_start,
       current_period_end, billing_cycle_anchor, billing_interval, interval_count, started_at,
       ended_at, cancel_at_period_end, past_due_since, currency, event_created)
SELECT $1::text, $2::text, $3::text, (SELECT plan FROM wanted ORDER BY way, place LIMIT 1), $6::text,
       'epoch'::timestamptz + $7::bigint * interval '1 s',
       'epoch'::timestamptz + $8::bigint * interval '1 s',
       'epoch'::timestamptz + $9::bigint * interval '1 s', $10::text, $11::bigint::integer,
       'epoch'::timestamptz + $12::bigint * interval '1 s',
       'epoch'::timestamptz + $13::bigint * interval '1 s', $14::boolean,
       CASE WHEN $6::text = 'past_due' THEN event.created END, $15::text, event.created
  FROM event
    ON CONFLICT (stripe_subscription_id) DO UPDATE
   SET stripe_customer_id = excluded.stripe_customer_id, plan = excluded.plan,
       status = excluded.status, current_period_start = excluded.current_period_start,
       current_period_end = excluded.current_period_end,
       billing_cycle_anchor = excluded.billing_cycle_anchor,
       billing_interval = excluded.billing_interval, interval_count = excluded.interval_count,
       started_at = excluded.started_at, ended_at = excluded.ended_at,
       cancel_at_period_end = excluded.cancel_at_period_end,
       past_due_since = CASE WHEN excluded.status = 'past_due'
                             THEN coalesce(s.past_due_since, excluded.past_due_since) END,
       currency = excluded.currency,
       event_created = greatest(s.event_created, excluded.event_created), updated_at = now()
RETURNING plan
