-- An invoice of a tenant. No row: it has no such invoice.
-- $1 text: tenant
-- $2 text: its id
SELECT invoice_shown(i)::text AS invoice, i.stripe_customer_id, i.currency,
       coalesce(i.number, i.stripe_invoice_id) AS name
  FROM invoices i
 WHERE i.tenant = $1::text AND i.stripe_invoice_id = $2::text AND i.status <> 'deleted'
