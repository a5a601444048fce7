-- Who reads Stripe's objects, and for how long its lease is good, in ms.
SELECT coalesce(owner, ''), greatest(ceil(extract(epoch FROM lease_until - now()) * 1000), 0)::bigint AS left_ms
  FROM stripe_catch_up
 WHERE name = 'objects'
