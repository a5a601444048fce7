-- Drops one day of raw events and returns how many it held, or NULL if something still needs the day. While the day is
-- tallied, only its partition is locked. The drop itself locks all of usage_batches for a moment. It waits for that
-- lock at most half a second, and then fails with lock_not_available without having changed anything.
CREATE OR REPLACE FUNCTION drop_usage_day(p_day date, p_keep interval) RETURNS bigint
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
        -- A day that had only repeats: no minute is lost with it.
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

COMMENT ON FUNCTION drop_usage_day IS
    'Drops one day of raw events unless something still needs it, and returns how many events it held.';
REVOKE ALL ON FUNCTION drop_usage_day FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_usage_day TO meterline_aggregator, meterline_ctl;
