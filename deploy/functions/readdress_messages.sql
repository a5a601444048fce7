CREATE OR REPLACE FUNCTION readdress_messages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE outgoing_messages m
       SET destination = coalesce(a.destination, m.destination), next_attempt_at = now(), waiting_since = now(),
           state = CASE WHEN a.destination IS NULL THEN 'failed' ELSE m.state END,
           error = CASE WHEN a.destination IS NULL THEN 'the tenant has no such address any more' ELSE m.error END
      FROM (VALUES ('mail', OLD.email, CASE WHEN TG_OP = 'UPDATE' THEN NEW.email END),
                   ('post', OLD.post_url, CASE WHEN TG_OP = 'UPDATE' THEN NEW.post_url END))
           AS a (channel, old_destination, destination)
     WHERE m.tenant = OLD.tenant AND m.channel = a.channel AND m.state = 'waiting'
       AND a.destination IS DISTINCT FROM a.old_destination;
    IF FOUND THEN
        PERFORM pg_notify('meterline_messages', '');
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION readdress_messages IS 'Trigger of alert_settings: what waits for a tenant goes to its new address.';
REVOKE ALL ON FUNCTION readdress_messages FROM PUBLIC;
