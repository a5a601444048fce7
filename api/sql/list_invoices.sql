-- Invoices of a tenant, the newest first. None behind an invoice that is not the tenant's.
-- $1 text: tenant
-- $2 text: id of the row before; NULL: from the first on
-- $3 bigint: how many rows at most
-- $4 text: only those of this status; NULL: all
SELECT invoice_shown(i)::text
  FROM invoices i
 WHERE i.tenant = $1::text AND i.status <> 'deleted' AND ($4::text IS NULL OR i.status = $4::text)
   AND ($2::text IS NULL
        OR (coalesce(i.created_at, 'epoch'), i.stripe_invoice_id) <
           (SELECT coalesce(x.created_at, 'epoch'), x.stripe_invoice_id FROM invoices x
             WHERE x.stripe_invoice_id = $2::text AND x.tenant = $1::text))
 ORDER BY coalesce(i.created_at, 'epoch') DESC, i.stripe_invoice_id DESC
 LIMIT $3::bigint
