-- The plans that are sold by a price's lookup key; `free` is what those have who bought none.
select plan, stripe_lookup_key as lookup_key
  from plans
 where retired_at is null and stripe_lookup_key is not null and plan <> 'free'
 order by plan
