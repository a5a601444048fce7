-- One thing that Stripe holds becomes a submission that is sent, under the next number, in its minute or, where a
-- submission lies in that, in the nearest free one, later ones first.
-- $1 text tenant, $2 text metric, $3 text transport, $4 text customer, $5 text event_name
-- $6 text subscription item or null, $7 timestamptz, $8 timestamptz: the period
-- $9 timestamptz minute, $10 numeric quantity
with place as (
    select coalesce(
        (select $9::timestamptz
          where not exists (select from usage_submissions s
                             where s.stripe_customer_id = $4 and s.event_name = $5 and s.state <> 'void'
                               and s.usage_at = $9::timestamptz)),
        (select g.at
           from generate_series($7::timestamptz, $8::timestamptz - interval '1 minute', interval '1 minute') as g (at)
          where not exists (select from usage_submissions s
                             where s.stripe_customer_id = $4 and s.event_name = $5 and s.state <> 'void'
                               and s.usage_at = g.at)
          order by g.at < $9::timestamptz, abs(extract(epoch from g.at - $9::timestamptz))
          limit 1)) as usage_at
)
insert into usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name,
                               stripe_subscription_item_id, period_start, claim, usage_at, quantity, body, state,
                               last_error, first_sent_at, last_sent_at, sent_at)
select 'ml-found-' || encode(sha256(convert_to(concat_ws(chr(10), $4::text, $5::text, $6::text,
                      extract(epoch from p.usage_at)::int8), 'UTF8')), 'hex'),
       $1, $2, $3, $4, $5, $6, $7::timestamptz,
       1 + greatest(coalesce((select max(s.claim) from usage_submissions s
                               where s.tenant = $1 and s.metric = $2 and s.period_start = $7::timestamptz), 0),
                    coalesce((select c.claims from usage_claims c
                               where c.tenant = $1 and c.metric = $2 and c.period_start = $7::timestamptz), 0)),
       p.usage_at, $10::numeric, '', 'sent', 'found at Stripe after a restore', now(), now(), now()
  from place p
returning identifier, tenant, metric, to_char(usage_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as minute,
          trim_scale(quantity)::text as quantity
