-- Asks the sink to settle or reconcile a tenant, but not before p_wait has passed. Repeated requests cannot put it off
-- for more than an hour.
CREATE OR REPLACE FUNCTION request_sink(p_tenant text, p_kind text, p_wait interval DEFAULT '0') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO sink_requests AS r (tenant, kind, requested_at) VALUES (p_tenant, p_kind, now() + p_wait)
    ON CONFLICT (tenant, kind) DO UPDATE
       SET requested_at = greatest(now(), least(now() + p_wait, r.since + interval '1 hour'))
$$;

COMMENT ON FUNCTION request_sink IS
    'Asks the sink to settle or reconcile a tenant, after the time given.';
REVOKE ALL ON FUNCTION request_sink FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_sink TO meterline_webhookd, meterline_api, meterline_ctl;
