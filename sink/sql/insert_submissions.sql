-- Claims become submissions. Arrays of one length.
-- $1 text[] identifier, $2 text[] tenant, $3 text[] metric, $4 text[] transport, $5 text[] customer,
-- $6 text[] event_name, $7 timestamptz[] period_start, $8 int8[] claim, $9 timestamptz[] usage_at,
-- $10 numeric[] quantity, $11 text[] body, $12 text[] state
insert into usage_submissions (identifier, tenant, metric, transport, stripe_customer_id, event_name,
                               period_start, claim, usage_at, quantity, body, state)
select *
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
              $8::int8[], $9::timestamptz[], $10::numeric[], $11::text[], $12::text[])
