-- Who made a payment: the customer that a part of it names, else that of its invoice. Refunds and invoice payments name
-- none.
CREATE OR REPLACE FUNCTION payer_of(p_payment text) RETURNS text
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
    WITH parts AS (
        SELECT o.customer_id, o.parent_id FROM stripe_observations o WHERE o.object_id = p_payment
        UNION ALL
        SELECT o.customer_id, o.parent_id FROM stripe_observations o
         WHERE o.group_id = p_payment AND o.group_id <> o.object_id
    )
    SELECT coalesce((SELECT min(p.customer_id) FROM parts p),
                    (SELECT min(i.customer_id) FROM parts p
                       JOIN stripe_observations i ON i.object_id = p.parent_id AND i.kind = 'invoice')));
END $$;

COMMENT ON FUNCTION payer_of IS 'The customer who made a payment.';
