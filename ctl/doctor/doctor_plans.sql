-- The plans that are sold by a price's lookup key. `free` is the plan of tenants who bought none.
SELECT plan, stripe_lookup_key AS lookup_key
  FROM plans
 WHERE retired_at IS NULL AND stripe_lookup_key IS NOT NULL AND plan <> 'free'
 ORDER BY plan
