CREATE OR REPLACE FUNCTION note_limit_change() RETURNS trigger
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

COMMENT ON FUNCTION note_limit_change IS 'Trigger of tenant_limits: tells webhookd whose limits changed.';
REVOKE ALL ON FUNCTION note_limit_change FROM PUBLIC;
