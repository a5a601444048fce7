-- Those of the customers whose tenant nothing has told yet.
-- $1 jsonb: array of Stripe's customer ids
SELECT DISTINCT x.id
  FROM jsonb_array_elements_text($1::jsonb) AS x (id)
 WHERE NOT EXISTS (SELECT FROM stripe_customers c WHERE c.stripe_customer_id = x.id AND c.tenant IS NOT NULL)
