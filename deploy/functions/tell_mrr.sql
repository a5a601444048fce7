-- Puts into the outbox that customers earn us another sum a month than before: new, expansion, contraction, churn, or
-- reactivation. Each sum is rounded once, so that all changes of a customer add up to what it is now.
CREATE OR REPLACE FUNCTION tell_mrr(p_customers text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT n.*, coalesce(b.mrr, ROW(0, 1)::fraction) AS old_mrr, b.paid_since, coalesce(b.changes, 0) AS changes,
               fraction_round(n.mrr) AS new_sum, fraction_round(coalesce(b.mrr, ROW(0, 1)::fraction)) AS old_sum,
               (SELECT max(s.event_created) FROM subscriptions s WHERE s.stripe_customer_id = n.stripe_customer_id) AS at
          FROM customers_mrr('infinity', p_customers) n
          LEFT JOIN customer_mrr b USING (stripe_customer_id, currency)
         ORDER BY n.stripe_customer_id, n.currency
    LOOP
        -- Until a price is known, the sum stays what it was.
        INSERT INTO customer_mrr AS b (stripe_customer_id, currency, tenant, mrr, is_known, paid_since, changes)
        VALUES (c.stripe_customer_id, c.currency, c.tenant, CASE WHEN c.is_known THEN c.mrr ELSE c.old_mrr END, c.is_known,
                CASE WHEN c.is_known AND c.new_sum > 0 THEN coalesce(c.at, now()) END,
                CASE WHEN c.is_known AND c.new_sum <> c.old_sum THEN 1 ELSE 0 END)
        ON CONFLICT (stripe_customer_id, currency) DO UPDATE
           SET tenant = excluded.tenant, mrr = excluded.mrr, is_known = excluded.is_known,
               paid_since = coalesce(b.paid_since, excluded.paid_since), changes = b.changes + excluded.changes,
               updated_at = now()
         WHERE (b.tenant, b.mrr, b.is_known) IS DISTINCT FROM (excluded.tenant, excluded.mrr, excluded.is_known);
        IF c.is_known AND c.new_sum <> c.old_sum THEN
            PERFORM add_message('mrr_update', concat_ws(' ', c.stripe_customer_id, c.currency, c.changes + 1), c.tenant,
                                jsonb_build_object(
                                    'customer', c.stripe_customer_id, 'currency', c.currency, 'before_minor', c.old_sum,
                                    'after_minor', c.new_sum, 'change_minor', c.new_sum - c.old_sum,
                                    'movement', CASE WHEN c.new_sum = 0 THEN 'churn'
                                                     WHEN c.old_sum = 0 AND c.paid_since IS NULL THEN 'new'
                                                     WHEN c.old_sum = 0 THEN 'reactivation'
                                                     WHEN c.new_sum > c.old_sum THEN 'expansion' ELSE 'contraction' END),
                                coalesce(c.at, now()));
        END IF;
    END LOOP;
END $$;

COMMENT ON FUNCTION tell_mrr IS 'Puts into the outbox what changed in the monthly revenue of customers.';
