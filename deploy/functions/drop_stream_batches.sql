-- Cuts the chain of batches after a day whose raw events are dropped. Of each stream, all batches go before the first
-- one that was committed after that day, or on another day that is kept. The rest of the chain begins at an anchor in
-- stream_batches_dropped.
CREATE OR REPLACE FUNCTION drop_stream_batches(p_day date) RETURNS void
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

COMMENT ON FUNCTION drop_stream_batches IS
    'Cuts the chain of batches after a day whose raw events are dropped; part of drop_usage_day.';
REVOKE ALL ON FUNCTION drop_stream_batches FROM PUBLIC;
