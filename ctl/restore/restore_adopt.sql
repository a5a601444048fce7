-- One thing that Stripe holds becomes a submission that is sent, under the next number, in its minute or, where a
-- submission lies in that, in the nearest free one, later ones first.
-- $1 text tenant, $2 text metric, $3 text transport, $4 text customer, $5 text event_name
-- $6 text subscription item or null, $7 timestamptz, $8 timestamptz: the period
-- $9 timestamptz minute, $10 numeric quantity
WITH place AS (
    SELECT coalesce(
        (SELECT $9::timestamptz
          WHERE NOT EXISTS (SELECT FROM usage_submissions s
                             WHERE s.stripe_customer_id = $4 AND s.event_name = $5 AND s.state <> 'void'
                               AND s.usage_at = $9::timestamptz)),
        (SELECT g.at
           FROM generate_series($7::timestamptz, $8::timestamptz - interval '1 minute', interval '1 minute') AS g (at)
          WHERE NOT EXISTS (SELECT FROM usage_submissions s
                             WHERE s.stripe_customer_id = $4 AND s.event_name = $5 AND s.state <> 'void'
                               AND s.usage_at = g.at)
          ORDER BY g.at < $9::timestamptz, abs(extract(epoch FROM g.at - $9::timestamptz))
          LIMIT 1)) AS usage_at
)
INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name,
                               stripe_subscription_item_id, period_start, claim, usage_at, quantity, body, state,
                               last_error, first_sent_at, last_sent_at, sent_at)
SELECT 'ml-found-' || encode(sha256(convert_to(concat_ws(chr(10), $4::text, $5::text, $6::text,
                      extract(epoch FROM p.usage_at)::int8), 'UTF8')), 'hex'),
       $1, $2, $3, $4, $5, $6, $7::timestamptz,
       1 + greatest(coalesce((SELECT max(s.claim) FROM usage_submissions s
                               WHERE s.tenant = $1 AND s.metric = $2 AND s.period_start = $7::timestamptz), 0),
                    coalesce((SELECT c.claims FROM usage_claims c
                               WHERE c.tenant = $1 AND c.metric = $2 AND c.period_start = $7::timestamptz), 0)),
       p.usage_at, $10::numeric, '', 'sent', 'found at Stripe after a restore', now(), now(), now()
  FROM place p
RETURNING identifier, tenant, metric, to_char(usage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS minute,
          trim_scale(quantity)::text AS quantity
