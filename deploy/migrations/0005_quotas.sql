-- What tenants may use, and how much of it they have used.

CREATE TABLE usage_quotas (
    tenant         text NOT NULL,
    metric         text NOT NULL,
    limit_quantity numeric(38,9),            -- NULL: unlimited
    cap            text NOT NULL CHECK (cap IN ('none', 'soft', 'hard')),
    grace_until    timestamptz,
    refreshed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, metric)
);

CREATE TABLE usage_alerts (
    tenant            text NOT NULL,
    metric            text NOT NULL,
    period_start      timestamptz NOT NULL,
    threshold_percent integer NOT NULL,
    limit_quantity    numeric(38,9) NOT NULL,
    raised_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, metric, period_start, threshold_percent, limit_quantity)
);

-- How long a tenant whose payment failed may go on.
CREATE FUNCTION payment_grace() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '7 days';

-- The subscription that decides a tenant's plan: the best standing one, then the newest.
CREATE FUNCTION deciding_subscription(p_tenant text) RETURNS subscriptions
LANGUAGE sql STABLE AS $$
    SELECT * FROM subscriptions
     WHERE tenant = p_tenant AND status NOT IN ('canceled', 'incomplete', 'incomplete_expired')
     ORDER BY CASE status WHEN 'active' THEN 0 WHEN 'trialing' THEN 0 WHEN 'past_due' THEN 1 ELSE 2 END,
              started_at DESC, stripe_subscription_id
     LIMIT 1
$$;

-- active, grace (payment failed lately) or blocked.
CREATE FUNCTION tenant_status(p_tenant text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN s.status IN ('active', 'trialing') OR s.status IS NULL THEN 'active'
        WHEN s.status = 'past_due' AND now() < coalesce(s.past_due_since, s.updated_at) + payment_grace() THEN 'grace'
        ELSE 'blocked' END
      FROM (SELECT (deciding_subscription(p_tenant)).*) s
$$;

-- Brings a tenant's quotas in line with its plan (free where it has none) and its own limits.
CREATE FUNCTION refresh_usage_quotas(p_tenant text) RETURNS void
LANGUAGE sql AS $$
    WITH s AS (SELECT (deciding_subscription(p_tenant)).*),
    wanted AS (
        SELECT l.metric,
               CASE WHEN o.unlimited THEN NULL ELSE coalesce(o.included, l.included) END AS limit_quantity,
               coalesce(o.cap, l.cap) AS cap,
               (SELECT coalesce(s.past_due_since, s.updated_at) + payment_grace() FROM s WHERE s.status = 'past_due') AS grace_until
          FROM plan_limits l
          LEFT JOIN tenant_limits o ON o.tenant = p_tenant AND o.metric = l.metric
         WHERE l.plan = coalesce((SELECT plan FROM s), 'free')
    ), gone AS (
        DELETE FROM usage_quotas q
         WHERE q.tenant = p_tenant AND q.metric NOT IN (SELECT metric FROM wanted)
    )
    INSERT INTO usage_quotas (tenant, metric, limit_quantity, cap, grace_until)
    SELECT p_tenant, metric, limit_quantity, cap, grace_until FROM wanted
    ON CONFLICT (tenant, metric) DO UPDATE
       SET limit_quantity = excluded.limit_quantity, cap = excluded.cap,
           grace_until = excluded.grace_until, refreshed_at = now()
$$;

-- Tenants whose own limits changed, by whatever hand: webhookd brings them in line, writes them into the quota
-- cache, and forgets them here unless the number is another one since.
CREATE SEQUENCE limit_change;
CREATE TABLE limit_changes (
    tenant text PRIMARY KEY,
    number bigint NOT NULL
);
CREATE FUNCTION note_limit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO limit_changes (tenant, number)
    SELECT x, nextval('limit_change')
      FROM unnest(ARRAY[CASE WHEN TG_OP <> 'INSERT' THEN OLD.tenant END,
                        CASE WHEN TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.tenant <> OLD.tenant)
                             THEN NEW.tenant END]) x
     WHERE x IS NOT NULL
    ON CONFLICT (tenant) DO UPDATE SET number = excluded.number;
    RETURN NULL;
END $$;
CREATE TRIGGER note_limit_change AFTER INSERT OR UPDATE OR DELETE ON tenant_limits
    FOR EACH ROW EXECUTE FUNCTION note_limit_change();

-- Usage of a period; without period_start, of the current one. 0 where there is none.
CREATE FUNCTION get_current_usage(p_tenant text, p_metric text, p_period_start timestamptz DEFAULT NULL)
RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT quantity FROM usage_totals
                      WHERE tenant = p_tenant AND metric = p_metric
                        AND period_start = coalesce(p_period_start,
                                (SELECT b.period_start FROM billing_period(p_tenant, now()) b))), 0)
$$;

-- True where the limit is reached and a cap applies. No quota: false.
CREATE FUNCTION is_over_quota(p_tenant text, p_metric text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT cap <> 'none' AND get_current_usage(p_tenant, p_metric) >= limit_quantity
                       FROM usage_quotas WHERE tenant = p_tenant AND metric = p_metric), false)
$$;

-- Used, in per cent of the limit, exact to 9 digits. NULL: unlimited or no quota; 100 for a limit of 0.
CREATE FUNCTION get_usage_percentage(p_tenant text, p_metric text) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN limit_quantity = 0 THEN 100
                ELSE round(get_current_usage(p_tenant, p_metric) * 100 / limit_quantity, 9) END
      FROM usage_quotas WHERE tenant = p_tenant AND metric = p_metric
$$;
