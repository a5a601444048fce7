-- Tenants that were billed and whose customer is gone, so that nothing of theirs is claimed any more; at most 10. A
-- customer that Stripe deleted stays, with the time.
SELECT s.tenant, min(s.stripe_customer_id) AS stripe_customer_id
  FROM usage_submissions s
 WHERE s.state <> 'void'
   AND NOT EXISTS (SELECT FROM billing_customers b WHERE b.tenant = s.tenant)
 GROUP BY s.tenant
 ORDER BY s.tenant
 LIMIT 10
