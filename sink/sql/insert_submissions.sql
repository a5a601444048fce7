-- Claims become submissions. Arrays of one length.
-- $1 text[] identifier, $2 text[] tenant, $3 text[] metric, $4 text[] transport, $5 text[] customer,
-- $6 text[] event_name, $7 text[] subscription item or NULL, $8 timestamptz[] period_start, $9 int8[] claim,
-- $10 timestamptz[] usage_at, $11 numeric[] quantity, $12 text[] body, $13 text[] state, $14 bool[] carried
INSERT INTO usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name,
                               stripe_subscription_item_id, period_start, claim, usage_at, quantity, body,
                               state, carried)
SELECT *
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::timestamptz[], $9::int8[], $10::timestamptz[], $11::numeric[], $12::text[], $13::text[],
              $14::bool[])
