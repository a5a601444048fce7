-- Take the next submission of lanes that have no call in flight: one whose sink died (its lease has passed),
-- else the oldest that waits, if it is due. A later one never overtakes it. Lanes are visited in their order,
-- beginning after the lane given, one probe of an index each, which finds the call in flight first, until what
-- was taken fills the calls. What was first sent 23 h ago is never sent again (Stripe forgets keys and
-- identifiers after 24 h); what was never sent and comes too late for its invoice is late; what Stripe refused
-- later, while a sink that died had it in flight, is failed. What was claimed before sinks began to hold what was not
-- compared with Stripe since a restore, and was not compared since, is in doubt: it may have been sent in the time that
-- was lost. Lanes of a meter that is at fault, or of a tenant that is held after a restore, rest.
-- A row is taken where it was seen: the snapshot keeps its place from being used again. The conditions on
-- attempts and state are for a settlement that commits meanwhile.
-- Each pick has a number, which Redis is told before a call begins: a ledger that came back from a backup has less.
-- Thousands of rows may be open while statistics know of none: each part leaves the planner one good way only.
-- $1 text: owner
-- $2 int8: lease, ms
-- $3 int8: calls, in hundredths; the last row may go beyond them
-- $4 text, $5 text: customer and event_name after which to go on
-- Transports of this build, arrays of one length: $6 text[] name, $7 int8[] what a submission takes of a call,
-- in hundredths, $8 bool[] takes nothing for a period that is over
WITH RECURSIVE transports AS (
    SELECT * FROM unnest($6::text[], $7::int8[], $8::bool[]) AS t (transport, cost, ends_with_period)
), held AS MATERIALIZED (
    SELECT g.hold, EXISTS (SELECT FROM restore_checks c WHERE c.hold = g.hold AND c.checked_at IS NOT NULL) AS any_released
      FROM sink_hold() AS g (hold)
), seen AS (
    SELECT $4::text COLLATE "C" AS customer, $5::text COLLATE "C" AS event_name, NULL::tid AS place,
           NULL::text COLLATE "C" AS tenant, NULL::timestamptz AS usage_at, NULL::text COLLATE "C" AS state, NULL::int4 AS attempts,
           NULL::timestamptz AS first_sent_at, NULL::text AS refused_later, NULL::bool AS ends_with_period,
           0::int8 AS used
    UNION ALL
    SELECT n.stripe_customer_id, n.event_name, CASE WHEN h.due THEN n.ctid END, n.tenant, n.usage_at, n.state,
           n.attempts, n.first_sent_at, n.refused_later, h.ends_with_period, d.used + CASE WHEN h.due THEN h.cost ELSE 0 END
      FROM seen d
     CROSS JOIN LATERAL (
           SELECT o.ctid, o.*
             FROM usage_submissions o
            WHERE o.state IN ('pending', 'sending')
              AND (o.stripe_customer_id, o.event_name) > (d.customer, d.event_name)
            ORDER BY o.stripe_customer_id, o.event_name,
                     CASE o.state WHEN 'sending' THEN timestamptz '-infinity' ELSE o.usage_at END
            LIMIT 1) AS n
      LEFT JOIN LATERAL (
           SELECT t.cost, t.ends_with_period,
                  CASE n.state WHEN 'sending' THEN n.lease_until < now()
                       ELSE n.next_attempt_at <= now() END
                  AND (n.transport = 'usage_records'
                       OR n.event_name <> ALL (ARRAY(SELECT event_name FROM meter_holds)))
                  AND ((SELECT hold FROM held) = 0 OR is_released(n.tenant, (SELECT hold FROM held))) AS due
             FROM transports t
            WHERE t.transport = n.transport) AS h ON true
     WHERE d.used < $3
       AND (SELECT hold = 0 OR hold > 0 AND any_released FROM held)
), needed AS MATERIALIZED (
    SELECT proof_needed_before() AS restored, (SELECT max(held_from) FROM ledger_restores WHERE held_from <= now()) AS since
), judged AS (
    SELECT d.place, d.attempts, d.state, d.first_sent_at IS NOT NULL AS sent_before, l.why,
           CASE WHEN u.unproven THEN 'claimed before a restore: what was lost may have sent it' END AS unproven,
           CASE WHEN d.refused_later IS NOT NULL THEN 'failed'
                WHEN d.first_sent_at < now() - interval '23 hours' THEN 'in_doubt'
                WHEN u.unproven THEN 'in_doubt'
                WHEN l.why IS NOT NULL THEN 'late'
                ELSE 'sending' END AS verdict
      FROM seen d
     CROSS JOIN LATERAL (
           SELECT CASE WHEN d.first_sent_at IS NULL
                       THEN why_late(d.tenant, d.usage_at, d.ends_with_period) END AS why
           OFFSET 0) AS l   -- so that it is asked once
     CROSS JOIN LATERAL (
           SELECT CASE WHEN (SELECT since FROM needed) IS NOT NULL
                       THEN EXISTS (SELECT FROM usage_submissions o
                                     CROSS JOIN LATERAL billing_period(o.tenant, o.usage_at) AS p
                                     WHERE o.ctid = d.place AND o.created_at < (SELECT since FROM needed)
                                       AND NOT is_place_proven(o.stripe_customer_id,
                                                               coalesce(o.stripe_subscription_item_id, o.event_name),
                                                               p.period_start, p.period_end, (SELECT restored FROM needed)))
                       ELSE false END AS unproven
           OFFSET 0) AS u
     WHERE d.place IS NOT NULL
), picked AS (
    UPDATE usage_submissions s
       SET state = j.verdict,
           owner = CASE WHEN j.verdict = 'sending' THEN $1 END,
           lease_until = CASE WHEN j.verdict = 'sending'
                              THEN clock_timestamp() + $2::int8 * interval '1 ms' END,
           attempts = s.attempts + CASE WHEN j.verdict = 'sending' THEN 1 ELSE 0 END,
           first_sent_at = coalesce(s.first_sent_at, CASE WHEN j.verdict = 'sending' THEN now() END),
           last_sent_at = CASE WHEN j.verdict = 'sending' THEN now() ELSE s.last_sent_at END,
           last_error = coalesce(CASE j.verdict WHEN 'late' THEN j.why END, j.unproven, s.last_error)
      FROM judged j
     WHERE s.ctid = j.place AND s.attempts = j.attempts AND s.state = j.state
    RETURNING s.identifier, s.stripe_customer_id, s.event_name, s.transport, s.stripe_subscription_item_id,
              s.quantity, s.body, s.state, s.attempts, j.sent_before, s.last_error, s.spent_keys
), numbered AS (
    UPDATE ledger_identity SET picks = picks + 1
     WHERE EXISTS (SELECT FROM picked WHERE state = 'sending')
    RETURNING picks, ledger_id::text)
SELECT p.*, coalesce(n.picks, 0) AS picks, n.ledger_id
  FROM picked p
  LEFT JOIN numbered n ON true
 ORDER BY stripe_customer_id, event_name
