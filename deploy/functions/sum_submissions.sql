-- What the submissions of a period claim. For values that replace each other (max, last, unique) that is not a sum,
-- but the newest one, of the given customer and meter if any. Stripe's edge may lie inside the first or last minute,
-- so submissions of that minute are compared with the exact edge, and may count for the period before.
CREATE OR REPLACE FUNCTION sum_submissions(p_tenant text, p_metric text, p_start timestamptz, p_end timestamptz,
                                           p_customer text DEFAULT NULL, p_event_name text DEFAULT NULL) RETURNS submission_sums
LANGUAGE plpgsql STABLE AS $$
DECLARE
    additive boolean := (SELECT m.aggregation IN ('sum', 'count') FROM metrics m WHERE m.metric = p_metric);
    replaced_at timestamptz;
    edges timestamptz[] := ARRAY[p_start, p_end];
    sums submission_sums;
BEGIN
    FOR i IN 1..2 LOOP
        IF EXISTS (SELECT FROM usage_submissions s
                    WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.usage_at = edges[i]) THEN
            edges[i] := billed_since(p_tenant, edges[i]);
        END IF;
    END LOOP;
    SELECT CASE WHEN additive THEN sum(u.quantity) FILTER (WHERE u.state <> 'held')
                ELSE (array_agg(u.quantity ORDER BY u.usage_at DESC)
                         FILTER (WHERE u.state <> 'held'
                                   AND u.stripe_customer_id = coalesce(p_customer, u.stripe_customer_id)
                                   AND u.event_name = coalesce(p_event_name, u.event_name)))[1] END,
           CASE WHEN additive THEN sum(u.quantity) FILTER (WHERE u.state = 'held')
                ELSE (array_agg(u.quantity ORDER BY u.usage_at DESC) FILTER (WHERE u.state = 'held'))[1] END,
           array_agg(u.identifier) FILTER (WHERE u.state = 'held')
      INTO sums.claimed, sums.held, sums.identifiers
      FROM (SELECT s.* FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.usage_at >= edges[1] AND s.usage_at < edges[2]
               AND NOT s.carried
             UNION ALL
            SELECT s.* FROM usage_submissions s
             WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.period_start >= p_start AND s.period_start < p_end
               AND s.carried) u
     WHERE u.state <> 'void';
    sums.claimed := coalesce(sums.claimed, 0);
    SELECT min(s.usage_at), max(s.usage_at) INTO sums.first_at, sums.last_at
      FROM usage_submissions s
     WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.usage_at >= edges[1] AND s.usage_at < edges[2];
    IF NOT additive AND p_customer IS NOT NULL THEN
        -- Another tenant that had the customer meanwhile may have set its meter: then nothing of this tenant is left.
        SELECT max(s.usage_at) INTO replaced_at
          FROM usage_submissions s
         WHERE s.stripe_customer_id = p_customer AND s.event_name = p_event_name AND s.state <> 'void'
           AND (s.tenant, s.metric) <> (p_tenant, p_metric) AND s.usage_at >= edges[1] AND s.usage_at < edges[2];
        IF replaced_at > coalesce((SELECT max(s.usage_at) FROM usage_submissions s
                                    WHERE s.tenant = p_tenant AND s.metric = p_metric AND s.state NOT IN ('void', 'held')
                                      AND s.stripe_customer_id = p_customer AND s.event_name = p_event_name
                                      AND s.usage_at < edges[2]), '-infinity') THEN
            sums.claimed := 0;
        END IF;
        sums.last_at := greatest(sums.last_at, replaced_at);
    END IF;
    RETURN sums;
END $$;

COMMENT ON FUNCTION sum_submissions IS 'What the submissions of one period claim.';
