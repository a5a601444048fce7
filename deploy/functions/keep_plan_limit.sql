-- Several changes in one transaction are one: what stood before it stays.
CREATE OR REPLACE FUNCTION keep_plan_limit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO plan_limit_history (plan, metric, replaced_at, included, cap)
    VALUES (OLD.plan, OLD.metric, now(), OLD.included, OLD.cap)
    ON CONFLICT (plan, metric, replaced_at) DO NOTHING;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION keep_plan_limit IS 'Trigger of plan_limits: keeps what a limit was.';
REVOKE ALL ON FUNCTION keep_plan_limit FROM PUBLIC;
