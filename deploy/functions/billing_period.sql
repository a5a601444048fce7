-- The billing period that usage of this minute belongs to. It is the one that Stripe told, if there is one. Else it is
-- projected from the cycle of the subscription that is in force, the newest one if there are several. Else it is the
-- calendar month (UTC), cut where a subscription begins or ends. Every minute of a period gives the same period.
-- stripe_subscription_id is NULL for a calendar month.
CREATE OR REPLACE FUNCTION billing_period(p_tenant text, p_at timestamptz, OUT period_start timestamptz,
                                          OUT period_end timestamptz, OUT stripe_subscription_id text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    m timestamptz := minute_of(p_at);
    s record;
    low timestamptz;
    high timestamptz;
BEGIN
    SELECT p.period_start, p.period_end, p.stripe_subscription_id
      INTO period_start, period_end, stripe_subscription_id
      FROM billing_periods p
     WHERE p.tenant = p_tenant AND p.period_start <= m
     ORDER BY p.period_start DESC LIMIT 1;
    IF FOUND AND m < period_end THEN
        RETURN;
    END IF;
    low := CASE WHEN FOUND THEN period_end END;
    high := (SELECT min(p.period_start) FROM billing_periods p
              WHERE p.tenant = p_tenant AND p.period_start > m);
    SELECT x.stripe_subscription_id AS id, x.billing_cycle_anchor AS anchor, x.billing_interval AS unit,
           x.interval_count AS count, x.started_at, minute_of(x.started_at) AS started, minute_of(x.ended_at) AS ended
      INTO s
      FROM subscriptions x
     WHERE x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired')
       AND minute_of(x.started_at) <= m AND (x.ended_at IS NULL OR m < minute_of(x.ended_at))
     ORDER BY x.started_at DESC, x.stripe_subscription_id DESC LIMIT 1;
    IF FOUND THEN
        stripe_subscription_id := s.id;
        -- A newer subscription takes precedence while it lasts. None lasts at m.
        SELECT greatest(p.period_start, low, s.started, max(minute_of(x.ended_at)) FILTER (WHERE minute_of(x.ended_at) <= m)),
               least(p.period_end, high, s.ended, min(minute_of(x.started_at)) FILTER (WHERE minute_of(x.started_at) > m))
          INTO period_start, period_end
          FROM project_period(s.anchor, s.unit, s.count, m) p
          LEFT JOIN subscriptions x ON x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired')
           AND (x.started_at, x.stripe_subscription_id) > (s.started_at, s.id)
         GROUP BY p.period_start, p.period_end;
        RETURN;
    END IF;
    period_start := date_trunc('month', m AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    period_end := (date_trunc('month', m AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    stripe_subscription_id := NULL;
    SELECT greatest(low, max(minute_of(x.ended_at)) FILTER (WHERE minute_of(x.ended_at) <= m)),
           least(high, min(minute_of(x.started_at)) FILTER (WHERE minute_of(x.started_at) > m))
      INTO low, high
      FROM subscriptions x
     WHERE x.tenant = p_tenant AND x.status NOT IN ('incomplete', 'incomplete_expired');
    period_start := greatest(period_start, low);
    period_end := least(period_end, high);
END $$;

COMMENT ON FUNCTION billing_period IS 'The billing period that a tenant''s usage of that time belongs to.';
