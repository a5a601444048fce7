-- Trigger of usage_totals and usage_quotas: has the notifier look whether a threshold was passed. Once noted, a total
-- that goes on rising is not noted again until the notifier has looked.
CREATE OR REPLACE FUNCTION note_alert_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO alert_checks (tenant, metric) VALUES (NEW.tenant, NEW.metric);
    IF TG_WHEN = 'BEFORE' THEN
        NEW.alert_at := 'Infinity';
    END IF;
    RETURN NEW;
END $$;

COMMENT ON FUNCTION note_alert_check IS 'Trigger: has the notifier look whether a threshold was passed.';
REVOKE ALL ON FUNCTION note_alert_check FROM PUBLIC;
