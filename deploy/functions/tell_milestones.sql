-- Puts into the outbox that paying customers, or the monthly revenue in a currency (in its major unit), have come to
-- 1, 10, 100 and so on for the first time. Of several at once, the highest is told. Returns how many were told.
CREATE OR REPLACE FUNCTION tell_milestones() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    told bigint := 0;
    m record;
BEGIN
    -- Two notifiers at once would tell the same.
    PERFORM pg_advisory_xact_lock(hashtextextended('meterline milestones', 0));
    FOR m IN
        WITH sums AS (
            SELECT 'mrr' AS what, c.currency, fraction_sum(array_agg(c.mrr)) AS amount, minor_units(c.currency) AS unit
              FROM customer_mrr c WHERE (c.mrr).numerator > 0
             GROUP BY c.currency
            UNION ALL
            SELECT 'customers', '', ROW(count(DISTINCT c.stripe_customer_id), 1)::fraction, 1
              FROM customer_mrr c WHERE (c.mrr).numerator > 0
        ), whole AS (
            SELECT what, currency, div((amount).numerator, (amount).denominator * unit) AS reached FROM sums
        )
        SELECT w.what, w.currency, w.reached, ('1' || repeat('0', length(w.reached::text) - 1))::numeric AS value FROM whole w
         WHERE w.reached >= 1
         ORDER BY w.what, w.currency
    LOOP
        INSERT INTO milestones (what, currency, value) SELECT m.what, m.currency, m.value
         WHERE m.value > coalesce((SELECT max(x.value) FROM milestones x
                                    WHERE (x.what, x.currency) = (m.what, m.currency)), 0);
        IF FOUND THEN
            PERFORM add_message('milestone', concat_ws(' ', m.what, m.currency, m.value), '',
                                jsonb_build_object('what', m.what, 'currency', NULLIF(m.currency, ''), 'value', m.value,
                                                   'reached', m.reached), now());
            told := told + 1;
        END IF;
    END LOOP;
    RETURN told;
END $$;

COMMENT ON FUNCTION tell_milestones IS 'Puts into the outbox what sums were reached for the first time.';
