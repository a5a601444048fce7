-- The last minute of a period that a customer's meter has not used yet: the very last one, or else the latest free one
-- right before a used one. NULL if there is none.
CREATE OR REPLACE FUNCTION free_minute(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz, p_customer text,
                                       p_event_name text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT u.before - interval '1 minute'
      FROM (SELECT p_end AS before
             UNION ALL
            SELECT usage_at FROM usage_submissions
             WHERE stripe_customer_id = p_customer AND event_name = p_event_name AND state <> 'void'
               AND usage_at > p_start AND usage_at < p_end) u
     WHERE NOT EXISTS (SELECT FROM usage_submissions o
                        WHERE o.stripe_customer_id = p_customer AND o.event_name = p_event_name
                          AND o.usage_at = u.before - interval '1 minute' AND o.state <> 'void')
       AND NOT EXISTS (SELECT FROM usage_submissions o
                        WHERE o.tenant = p_tenant AND o.metric = p_metric
                          AND o.usage_at = u.before - interval '1 minute')
     ORDER BY u.before DESC LIMIT 1
$$;

COMMENT ON FUNCTION free_minute IS 'The latest minute of a period that a customer''s meter has not used yet.';
