-- Retention: whole days of raw events, and rejected entries, once they are past their keep. What is dropped is tallied
-- in the same transaction, so that the audit still adds up.

-- The time of the oldest entry that waits in any stream, as last seen, or earlier; now if none does. Halves of entry
-- ids have 64 bits: what no clock shows is not believed, nor is a time before there were streams (2018); of a stream
-- that was not read yet nothing is known.
CREATE FUNCTION oldest_unread() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT least(now(), to_timestamp(min(least(p.ms, 253402300799999)) / 1000))
      FROM stream_positions
     CROSS JOIN LATERAL (SELECT split_part(last_id, '-', 1)::numeric AS ms) p
     WHERE (last_id = '0-0' OR p.ms >= 1514764800000)
       AND added_seen > base + counted + duplicates + rejected + conflicts + lost
$$;

-- The days of commits that are past their keep, the oldest first, and why one is kept all the same (NULL: it may go):
--   usage         an event of it was used later than the keep
--   not_folded    a batch of it is not yet in the minute rows
--   submission    a submission is not finished (pending, sending, held, failed, in_doubt, late and not dropped) whose
--                 billing period holds usage of that tenant in it
--   unclaimed     a total waits to be claimed whose period holds usage of that tenant in it. Tenants that are not
--                 billed (no customer, or before their subscription) and metrics that are not do not wait.
-- p_day: only that one; NULL: all. The deduplication window, and events that come up to 35 days late, lie within any keep that is allowed,
-- measured back from the oldest entry that was seen to wait: what is read after a long outage may repeat what was
-- counted before it.
CREATE FUNCTION list_usage_days(p_keep interval, p_day date DEFAULT NULL)
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

-- What was committed until the end of that day, whose raw events go, leaves the chain, whose rest then begins at an
-- anchor: of each stream all before the first batch that is younger, or of another day that is kept.
CREATE FUNCTION drop_stream_batches(p_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    WITH streams AS (
        SELECT p.stream, coalesce((SELECT b.number FROM stream_batches b
                                    WHERE b.stream = p.stream
                                      AND (b.committed_at >= (p_day + 1)::timestamp AT TIME ZONE 'UTC'
                                           OR ((b.committed_at AT TIME ZONE 'UTC')::date <> p_day
                                               AND (EXISTS (SELECT FROM usage_batches r
                                                             WHERE r.batch = b.batch
                                                               AND r.day = (b.committed_at AT TIME ZONE 'UTC')::date)
                                                    OR EXISTS (SELECT FROM usage_repeats r WHERE r.batch = b.batch))))
                                    ORDER BY b.number LIMIT 1),
                                  p.batches + 1) AS stays
          FROM stream_positions p
    ), gone AS (
        DELETE FROM stream_batches b USING streams s WHERE b.stream = s.stream AND b.number < s.stays RETURNING b.*
    )
    INSERT INTO stream_batches_dropped AS o (stream, epoch, number, seal, counted, duplicates, rejected, conflicts)
    SELECT stream, epoch, max(number), (array_agg(seal ORDER BY number DESC))[1], sum(counted), sum(duplicates),
           sum(rejected), sum(conflicts)
      FROM gone GROUP BY stream, epoch
    ON CONFLICT (stream, epoch) DO UPDATE
       SET number = excluded.number, seal = excluded.seal, counted = o.counted + excluded.counted,
           duplicates = o.duplicates + excluded.duplicates, rejected = o.rejected + excluded.rejected,
           conflicts = o.conflicts + excluded.conflicts;
    UPDATE stream_batches_dropped o SET checksum = dropped_batches_checksum(o)
     WHERE checksum IS DISTINCT FROM dropped_batches_checksum(o);
END $$;

-- Drops one day, unless it is kept: NULL, else how many events it held. Only that day's partition is locked while it is
-- tallied; all of usage_batches for the moment of the drop, for which it waits at most half a second: then it fails
-- with lock_not_available, and nothing was changed.
CREATE FUNCTION drop_usage_day(p_day date, p_keep interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
    name text := 'usage_batches_' || to_char(p_day, 'YYYYMMDD');
    dropped bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline retention'));
    IF NOT EXISTS (SELECT FROM list_usage_days(p_keep, p_day) d WHERE d.kept IS NULL) THEN
        RETURN NULL;
    END IF;
    EXECUTE format('LOCK TABLE %I IN SHARE MODE', name);
    WITH repeats AS (
        DELETE FROM usage_repeats r WHERE r.day = p_day RETURNING r.stream, r.epoch
    ), tally AS (
        INSERT INTO usage_batches_dropped AS o (stream, epoch, day, events, occurred_max)
        SELECT b.stream, b.epoch, b.day, sum(b.events), max(b.occurred_max)
          FROM usage_batches b WHERE b.day = p_day
         GROUP BY b.stream, b.epoch, b.day
         UNION ALL
        -- A day that had nothing but repeats: no minute is lost with it.
        SELECT DISTINCT r.stream, r.epoch, p_day, 0, to_timestamp(0)
          FROM repeats r
         WHERE NOT EXISTS (SELECT FROM usage_batches b
                            WHERE b.day = p_day AND b.stream = r.stream AND b.epoch = r.epoch)
        ON CONFLICT (stream, epoch, day) DO UPDATE
           SET events = o.events + excluded.events, occurred_max = greatest(o.occurred_max, excluded.occurred_max),
               dropped_at = now()
        RETURNING events
    )
    SELECT coalesce(sum(events), 0) INTO dropped FROM tally;
    UPDATE usage_batches_dropped o SET checksum = dropped_day_checksum(o) WHERE o.day = p_day;
    PERFORM drop_stream_batches(p_day);
    LOCK TABLE usage_batches IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE %I', name);
    RETURN dropped;
END $$;

-- When an aggregator last began to apply it, Unix ms.
INSERT INTO ledger_state (name, value) VALUES ('retention_ms', 0);

-- Deletes rejected entries past their keep, replayed or not, at most so many: how many it were.
CREATE FUNCTION drop_rejected_events(p_keep interval, p_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM rejected_events
         WHERE rejected_id IN (SELECT rejected_id FROM rejected_events WHERE rejected_at < now() - p_keep
                                ORDER BY rejected_at LIMIT p_most FOR UPDATE SKIP LOCKED)
        RETURNING stream, epoch, reason = 'conflict' AS conflict, (rejected_at AT TIME ZONE 'UTC')::date AS day
    ), tally AS (
        INSERT INTO rejected_events_dropped AS o (stream, epoch, conflict, day, events)
        SELECT stream, epoch, conflict, day, count(*) FROM gone GROUP BY stream, epoch, conflict, day
        ON CONFLICT (stream, epoch, conflict, day) DO UPDATE SET events = o.events + excluded.events, dropped_at = now()
    )
    SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION drop_stream_batches(date), list_usage_days(interval, date), drop_usage_day(date, interval),
    drop_rejected_events(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_usage_days(interval, date), drop_usage_day(date, interval),
    drop_rejected_events(interval, integer) TO meterline_ctl, meterline_aggregator;
