-- Tenants of whom a person has to decide who is billed, or by what; one of each kind is named.
SELECT problem, tenants, first FROM (
    SELECT 1 AS place, 'contested' AS problem, count(*) AS tenants, (array_agg(tenant ORDER BY contested_since DESC))[1] AS first
      FROM billing_customers WHERE contested_since IS NOT NULL
    UNION ALL
    SELECT 2, 'two_subscriptions', count(*), (array_agg(tenant ORDER BY since DESC))[1] FROM doubled_subscriptions) p
 WHERE tenants > 0
 ORDER BY place
