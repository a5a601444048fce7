-- Every plan that the catalog has or had.
SELECT plan FROM plans
UNION
SELECT plan FROM subscriptions WHERE plan IS NOT NULL
