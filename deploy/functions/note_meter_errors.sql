-- Marks meter events as failed that Stripe accepted and refused later, so that they wait for a person, and has their
-- tenants compared with Stripe. Returns how many submissions were marked.
CREATE OR REPLACE FUNCTION note_meter_errors(p_identifiers text[], p_errors text[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH told AS (
        UPDATE usage_submissions s
           SET state = CASE s.state WHEN 'sending' THEN 'sending' ELSE 'failed' END, refused_later = e.error,
               last_error = e.error, sent_at = NULL
          FROM unnest(p_identifiers, p_errors) AS e (identifier, error)
         WHERE s.identifier = e.identifier AND s.state IN ('pending', 'sending', 'sent', 'in_doubt')
           AND s.first_sent_at IS NOT NULL
        RETURNING s.tenant
    ), asked AS (
        SELECT request_sink(tenant, 'reconcile', '11 minutes') FROM (SELECT DISTINCT tenant FROM told) t
    )
    SELECT (SELECT count(*) FROM told) + 0 * (SELECT count(*) FROM asked)
$$;

COMMENT ON FUNCTION note_meter_errors IS
    'Marks submissions as failed that Stripe accepted and refused later, and returns how many.';
REVOKE ALL ON FUNCTION note_meter_errors FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_meter_errors TO meterline_webhookd;
