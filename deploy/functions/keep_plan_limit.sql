-- Several changes in one transaction are one: what stood before it stays. Where a plan had no limit of a metric before, it
-- allowed everything, unless the plan or the metric is new as well.
CREATE OR REPLACE FUNCTION keep_plan_limit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO plan_limit_history (plan, metric, replaced_at, included, cap)
        VALUES (OLD.plan, OLD.metric, now(), OLD.included, OLD.cap)
        ON CONFLICT (plan, metric, replaced_at) DO NOTHING;
    ELSE
        INSERT INTO plan_limit_history (plan, metric, replaced_at, included, cap)
        SELECT NEW.plan, NEW.metric, now(), NULL, 'none'
          FROM plans p, metrics m
         WHERE p.plan = NEW.plan AND m.metric = NEW.metric AND p.created_at < now() AND m.created_at < now()
        ON CONFLICT (plan, metric, replaced_at) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION keep_plan_limit IS 'Trigger of plan_limits: keeps what a limit was.';
REVOKE ALL ON FUNCTION keep_plan_limit FROM PUBLIC;
