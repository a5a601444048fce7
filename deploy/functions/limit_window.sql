-- What a limit that counts by period, month or day counts over at this time. A month begins on the billing day at the
-- minute of the billing cycle's anchor; after a short month, the 31st comes back. It never reaches beyond a billing
-- period of months, nor beyond its subscription. Without a subscription it is the calendar month, as is the period.
CREATE OR REPLACE FUNCTION limit_window(p_tenant text, p_window text, p_at timestamptz) RETURNS tstzrange
LANGUAGE plpgsql STABLE AS $$
DECLARE
    b record;
    s record;
    m record;
BEGIN
    IF p_window = 'day' THEN
        RETURN usage_day(p_at);
    END IF;
    SELECT * INTO b FROM billing_period(p_tenant, p_at);
    IF p_window <> 'month' OR b.stripe_subscription_id IS NULL THEN
        RETURN tstzrange(b.period_start, b.period_end);
    END IF;
    SELECT x.billing_cycle_anchor AS anchor, x.billing_interval IN ('day', 'week') AS is_short,
           minute_of(x.started_at) AS started, minute_of(x.ended_at) AS ended
      INTO s
      FROM subscriptions x WHERE x.stripe_subscription_id = b.stripe_subscription_id;
    IF NOT FOUND OR NOT s.is_short AND b.period_end <= b.period_start + interval '31 days' THEN
        RETURN tstzrange(b.period_start, b.period_end);
    END IF;
    SELECT * INTO m FROM project_period(s.anchor, 'month', 1, minute_of(p_at));
    IF s.is_short THEN
        RETURN tstzrange(greatest(m.period_start, s.started), least(m.period_end, s.ended));
    END IF;
    RETURN tstzrange(greatest(m.period_start, b.period_start), least(m.period_end, b.period_end));
END $$;

COMMENT ON FUNCTION limit_window IS 'What a limit that counts by period, month or day counts over at a time.';
