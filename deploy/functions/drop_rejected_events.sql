-- Deletes rejected entries that are past their keep, replayed or not, at most so many. Returns how many it deleted.
CREATE OR REPLACE FUNCTION drop_rejected_events(p_keep interval, p_most integer) RETURNS bigint
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

COMMENT ON FUNCTION drop_rejected_events IS 'Deletes rejected entries that are past their keep, and returns how many.';
REVOKE ALL ON FUNCTION drop_rejected_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_rejected_events TO meterline_aggregator, meterline_ctl;
