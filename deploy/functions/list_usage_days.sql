-- The days of commits that are past their keep, the oldest first, and why one is kept all the same (NULL: it may go):
--   usage         the usage time of one of its events is not yet past the keep
--   not_folded    a batch of it is not yet in the minute rows
--   submission    a submission is not finished (pending, sending, held, failed, in_doubt, late and not dropped) whose
--                 billing period holds usage of that tenant in it
--   unclaimed     a total waits to be claimed whose period holds usage of that tenant in it. Tenants that are not
--                 billed (no customer, or before their subscription) and metrics that are not billed do not wait.
-- p_day: only that one; NULL: all. Any keep that is allowed is longer than the deduplication window and the 35 days by
-- which events may be late. It is measured back from the oldest entry that is known to wait, because what is read after
-- a long outage may repeat what was counted before it.
CREATE OR REPLACE FUNCTION list_usage_days(p_keep interval, p_day date DEFAULT NULL)
RETURNS TABLE (day date, events bigint, bytes bigint, kept text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    past timestamptz := oldest_unread() - p_keep;
    partition record;
BEGIN
    IF p_keep < interval '36 days' THEN
        RAISE EXCEPTION 'raw events are needed for 36 days' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR partition IN
        SELECT c.oid, c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'usage_batches'::regclass AND c.relname ~ '^usage_batches_[0-9]{8}$'
           AND (p_day IS NULL OR to_date(right(c.relname, 8), 'YYYYMMDD') = p_day)
           AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= past
         ORDER BY c.relname
    LOOP
        RETURN QUERY
        WITH batches AS MATERIALIZED (
            SELECT b.batch, b.slice, b.events, b.occurred_min, b.occurred_max
              FROM usage_batches b WHERE b.day = partition.day
        ), open_periods AS MATERIALIZED (
            SELECT DISTINCT 'submission' AS reason, s.tenant,
                   usage_period(s.tenant, CASE WHEN s.carried THEN s.period_start ELSE s.usage_at END) AS period
              FROM usage_submissions s
             WHERE s.state IN ('pending', 'sending', 'held', 'failed', 'in_doubt', 'late')
               AND s.decision IS DISTINCT FROM 'drop'
             UNION ALL
            SELECT DISTINCT 'unclaimed', u.tenant, tstzrange(u.period_start, u.period_end)
              FROM usage_unbilled u WHERE u.reason IN ('waiting', 'not_compared', 'too_large')
        ), needed AS (
            SELECT min(o.reason) AS reason
              FROM open_periods o
             WHERE EXISTS (SELECT FROM batches x
                            WHERE x.slice = tenant_slice(o.tenant) AND x.occurred_min < upper(o.period)
                              AND x.occurred_max >= lower(o.period)
                              AND EXISTS (SELECT FROM usage_batches b
                                           WHERE b.day = partition.day AND b.batch = x.batch AND b.slice = x.slice
                                             AND o.tenant = ANY (b.tenants)))
        )
        SELECT partition.day, (SELECT coalesce(sum(x.events), 0)::bigint FROM batches x), pg_total_relation_size(partition.oid),
               CASE WHEN EXISTS (SELECT FROM batches x WHERE x.occurred_max >= past) THEN 'usage'
                    WHEN EXISTS (SELECT FROM batches x JOIN usage_pending p USING (batch)) THEN 'not_folded'
                    ELSE (SELECT n.reason FROM needed n) END;
    END LOOP;
END $$;

COMMENT ON FUNCTION list_usage_days IS
    'The days of raw events that are past their keep, and why one is kept all the same.';
REVOKE ALL ON FUNCTION list_usage_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_usage_days TO meterline_aggregator, meterline_ctl;
