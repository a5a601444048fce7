-- Puts a message into the outbox: as a signal, and as mail and a POST where the tenant has an address and it is the
-- tenant's business. Nobody gets mail about what is older than three days, for which Stripe repeats a delivery: a past
-- that is told late, or first imported, is for programs. p_key tells what happened apart from all else of its kind, such
-- as the id of a payment; no tenant has a line feed in its name. Returns false if it is there already.
CREATE OR REPLACE FUNCTION add_message(p_kind text, p_key text, p_tenant text, p_data jsonb, p_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO outgoing_messages (message_id, channel, tenant, kind, destination, data, occurred_at)
    SELECT 'msg_' || left(encode(sha256(convert_to(concat_ws(E'\n', p_kind, p_tenant, p_key), 'UTF8')), 'hex'), 32),
           way.channel, p_tenant, p_kind, way.destination, p_data, p_at
      FROM (SELECT 'signal' AS channel, '' AS destination
            UNION ALL
            SELECT x.channel, x.destination
              FROM alert_settings s
             CROSS JOIN LATERAL (VALUES ('mail', s.email), ('post', s.post_url)) AS x (channel, destination)
             WHERE s.tenant = p_tenant AND x.destination IS NOT NULL
               AND p_kind NOT IN ('mrr_update', 'milestone', 'usage_not_invoiced', 'subscription_doubled',
                                  'invoice_finalization_failed', 'dispute_opened', 'dispute_closed')
               AND (x.channel <> 'mail' OR p_at > now() - interval '3 days')) way
    ON CONFLICT (message_id, channel) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_notify('meterline_messages', '');
    RETURN true;
END $$;

COMMENT ON FUNCTION add_message IS 'Puts a message into the outbox; false if it is there already.';
REVOKE ALL ON FUNCTION add_message FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_message TO meterline_webhookd, meterline_notifier, meterline_ctl;
