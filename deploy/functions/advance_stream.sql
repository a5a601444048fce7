-- The fence of a commit, and the next link in the chain of batches. Moves a stream's position and books the outcome of
-- a batch. Raises ML001, so that nothing is committed, if the caller no longer owns the stream or the position is not
-- where the caller believes it to be. p_contents: see stream_batches. Returns how many batches the stream has.
CREATE OR REPLACE FUNCTION advance_stream(p_stream text, p_epoch integer, p_owner text, p_old_id text,
                                          p_new_id text, p_counted bigint, p_duplicates bigint,
                                          p_rejected bigint, p_conflicts bigint, p_added numeric,
                                          p_batch bigint, p_contents bytea)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    p stream_positions;
    b stream_batches;
BEGIN
    SELECT * INTO p FROM stream_positions
     WHERE stream = p_stream AND epoch = p_epoch AND owner = p_owner AND last_id = p_old_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'stream % is owned by another process or was moved', p_stream
            USING ERRCODE = 'ML001';
    END IF;
    b := (p_stream, p.batches + 1, p_batch, p_epoch, p_old_id, p_new_id, p_counted, p_duplicates, p_rejected, p_conflicts,
          p.base, p.lost, now(), p_contents, NULL, NULL, NULL, NULL);
    IF p_rejected + p_conflicts > 0 THEN
        -- Found by their time, which this transaction has nearly for itself, because that has an index.
        SELECT sha256(string_agg(rejected_checksum(r), '' ORDER BY r.rejected_id)) INTO b.rejects
          FROM rejected_events r
         WHERE r.rejected_at = now() AND r.stream = p_stream AND r.batch = p_batch;
    END IF;
    IF p_duplicates > 0 THEN
        SELECT repeats_checksum(r) INTO b.repeats FROM usage_repeats r WHERE r.batch = p_batch;
    END IF;
    SELECT ended_epoch_checksum(e) INTO b.ended
      FROM stream_epochs e WHERE e.stream = p_stream AND e.epoch = p_epoch - 1;
    b.seal := stream_batch_seal(p.seal, b);
    INSERT INTO stream_batches SELECT b.*;
    UPDATE stream_positions
       SET last_id = p_new_id, counted = counted + p_counted, duplicates = duplicates + p_duplicates,
           rejected = rejected + p_rejected, conflicts = conflicts + p_conflicts,
           added_seen = greatest(added_seen, p_added), batches = b.number, seal = b.seal, updated_at = now(),
           lease_until = clock_timestamp() + interval '3 s'
     WHERE stream = p_stream;
    RETURN b.number;
END $$;

COMMENT ON FUNCTION advance_stream IS
    'Moves a stream''s position past a batch and books its outcome; raises ML001 when the caller no longer owns the stream.';
REVOKE ALL ON FUNCTION advance_stream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION advance_stream TO meterline_aggregator, meterline_ctl;
