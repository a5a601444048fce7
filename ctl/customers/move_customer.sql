-- Bill a tenant by this customer, and write it into the history.
-- $1 text: tenant
-- $2 text: id of the customer
WITH was AS MATERIALIZED (
    SELECT stripe_customer_id, contested_since FROM billing_customers WHERE tenant = $1::text
), chosen AS (
    UPDATE stripe_customers SET chosen_at = CASE WHEN stripe_customer_id = $2::text THEN now() END, updated_at = now()
     WHERE tenant = $1::text AND (stripe_customer_id = $2::text OR chosen_at IS NOT NULL)
)
INSERT INTO billing_history (tenant, kind, object_id, detail, occurred_at)
SELECT $1::text, 'customer_moved', $2::text,
       jsonb_build_object('before', jsonb_build_object('customer', (SELECT stripe_customer_id FROM was),
                                                       'contested_since', (SELECT contested_since FROM was)),
                          'after', jsonb_build_object('customer', $2::text, 'by', session_user)), now()
