-- Values that replace each other (max, last, unique) are claimed again when a tenant gets another customer or a metric
-- another meter, because the new one has none of them. Values that add up need not be: they continue at the new one,
-- and stay where they were claimed.
CREATE OR REPLACE FUNCTION reclaim_values() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named text[] := CASE TG_TABLE_NAME WHEN 'metrics' THEN ARRAY[to_jsonb(NEW) ->> 'metric']
                         ELSE (SELECT array_agg(metric) FROM metrics WHERE aggregation NOT IN ('sum', 'count')) END;
    concerned text[] := CASE TG_TABLE_NAME WHEN 'metrics' THEN (SELECT array_agg(tenant) FROM billing_customers)
                             ELSE ARRAY[to_jsonb(NEW) ->> 'tenant'] END;
BEGIN
    IF TG_TABLE_NAME = 'metrics' AND to_jsonb(NEW) ->> 'aggregation' IN ('sum', 'count') THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline claims'));
    UPDATE usage_claims c SET version = -1, periods_version = -1
      FROM usage_totals t
     WHERE t.tenant = ANY (concerned) AND t.metric = ANY (named) AND t.period_end > now()
       AND c.tenant = t.tenant AND c.metric = t.metric AND c.period_start = t.period_start;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION reclaim_values IS
    'Trigger: has values of the kinds max, last and unique claimed again where a customer or meter was replaced.';
REVOKE ALL ON FUNCTION reclaim_values FROM PUBLIC;
