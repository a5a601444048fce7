-- A tenant's customer, as webhookd has stored it.
-- $1 text: tenant
SELECT jsonb_build_object(
           'id', b.stripe_customer_id, 'tenant', b.tenant, 'email', b.email,
           'created_at', rfc3339(c.created_at), 'contested', b.contested_since IS NOT NULL,
           'status', tenant_status(b.tenant), 'pending', false)::text
  FROM billing_customers b
  LEFT JOIN stripe_customers c USING (stripe_customer_id)
 WHERE b.tenant = $1 AND b.deleted_at IS NULL
