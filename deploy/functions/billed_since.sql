-- billed_from of the period that holds this time. A calendar month that follows a subscription begins with the minute
-- in which the subscription ended: usage up to that very end is billed by the subscription, so the month is billed
-- from there on.
CREATE OR REPLACE FUNCTION billed_since(p_tenant text, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN b.stripe_subscription_id IS NULL
                THEN coalesce((SELECT max(x.ended_at) FROM subscriptions x
                                WHERE x.tenant = p_tenant AND minute_of(x.ended_at) = b.period_start
                                  AND x.status NOT IN ('incomplete', 'incomplete_expired')), b.period_start)
                ELSE billed_from(b.period_start, s.billing_cycle_anchor, s.started_at) END
      FROM billing_period(p_tenant, p_at) b
      LEFT JOIN subscriptions s USING (stripe_subscription_id)
$$;

COMMENT ON FUNCTION billed_since IS 'From when on Stripe bills usage to the period that holds that time.';
