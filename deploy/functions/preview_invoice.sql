-- The next invoice of a tenant's subscription, by what is stored here: line by line, exactly. NULL: the tenant has no
-- subscription. p_change: {plan, seats, at, interval} of preview_wanted, or {}. The answer is what the API gives, but for
-- its member `request`, which asks Stripe the same. upcoming is false, with `reason`, where nothing will be invoiced.
-- unknown names what was left out or cannot be computed, so that nobody takes it for exact.
CREATE OR REPLACE FUNCTION preview_invoice(p_tenant text, p_change jsonb, p_at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    s subscriptions := deciding_subscription(p_tenant);
    spec jsonb;
    change jsonb;
    made jsonb;
    sums jsonb;
    found record;
    reason text;
    unknown jsonb := '[]';
    balance bigint;
BEGIN
    IF s.stripe_subscription_id IS NULL THEN
        RETURN NULL;
    END IF;
    spec := preview_spec(s, p_at);
    spec := jsonb_set(spec, '{pending}', (spec -> 'pending') || derived_prorations(s, spec));
    change := preview_wanted(s, spec, p_change);
    IF change ? 'error' THEN
        RETURN change;
    END IF;
    spec := spec || jsonb_build_object('change', change);
    made := preview_lines(spec);
    sums := invoice_sums(made -> 'lines', active_discounts(spec -> 'discounts', (made ->> 'invoice_at')::numeric, s.currency),
                         s.tax_rates, s.currency,
                         NOT EXISTS (SELECT FROM ledger_state WHERE name = 'tax_by_invoice' AND value = 1));
    FOR found IN
        SELECT 'price' AS what, l ->> 'price' AS id, 1 AS place FROM jsonb_array_elements(made -> 'lines') l WHERE l ->> 'amount' IS NULL
        UNION SELECT 'discount', d ->> 'id', 2 FROM jsonb_array_elements(spec -> 'discounts') d WHERE d ->> 'duration' IS NULL
        UNION SELECT 'automatic_tax', NULL, 3 WHERE s.automatic_tax
        UNION SELECT 'schedule', s.schedule, 4
         WHERE s.schedule IS NOT NULL AND NOT EXISTS (SELECT FROM stripe_schedules c WHERE c.stripe_schedule_id = s.schedule)
        ORDER BY place, id
    LOOP
        unknown := unknown || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('what', found.what, 'id', found.id)));
    END LOOP;
    reason := CASE WHEN s.status = 'paused' THEN 'paused'
                   WHEN (spec ->> 'ends')::numeric <= (spec ->> 'due')::numeric AND sums -> 'lines' = '[]' THEN 'ends'
                   WHEN sums -> 'lines' = '[]' THEN 'empty' END;
    SELECT coalesce(c.balance_minor, 0) INTO balance FROM stripe_customers c WHERE c.stripe_customer_id = s.stripe_customer_id;
    RETURN jsonb_build_object(
        'tenant', p_tenant, 'subscription', s.stripe_subscription_id, 'plan', s.plan, 'currency', s.currency,
        'computed_at', time_text(p_at), 'invoice_at', time_text(to_timestamp((made ->> 'invoice_at')::float8)),
        'at_once', (made ->> 'reset')::boolean, 'upcoming', reason IS NULL, 'reason', reason,
        'changes_at', change ->> 'at', 'scheduled', coalesce((change ->> 'scheduled')::boolean, false),
        'lines', (SELECT coalesce(jsonb_agg(preview_shown(l.line, s.currency) ORDER BY l.place), '[]')
                    FROM jsonb_array_elements(sums -> 'lines') WITH ORDINALITY l (line, place)),
        'subtotal', shown_amount(sums -> 'subtotal', s.currency), 'discount', shown_amount(sums -> 'discount', s.currency),
        'tax', shown_amount(sums -> 'tax', s.currency), 'total', shown_amount(sums -> 'total', s.currency),
        'starting_balance', shown_amount(to_jsonb(balance), s.currency),
        'amount_due', shown_amount(to_jsonb(greatest((sums ->> 'total')::numeric + balance, 0)), s.currency),
        'unknown', unknown, 'request', preview_request(spec));
END $$;

COMMENT ON FUNCTION preview_invoice IS 'The next invoice of a tenant''s subscription, by what is stored here.';
