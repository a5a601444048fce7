-- Ends a stream's epoch with its balance and opens the next one. An epoch without any outcome is opened again in
-- place. p_gone: entries of the ended epoch that are lost and were not booked yet. p_lost: entries of the new epoch
-- that are already gone. p_token: of the new epoch; NULL makes one. Returns false if the caller no longer owns the
-- stream, or the position is not where the caller believes it to be.
CREATE OR REPLACE FUNCTION open_epoch(p_stream text, p_owner text, p_epoch integer, p_last_id text, p_reason text,
                                      p_gone bigint, p_start text, p_base numeric, p_lost bigint, p_repeats_until text,
                                      p_token uuid)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    old stream_positions;
    outcomes bigint;
BEGIN
    SELECT * INTO old FROM stream_positions
     WHERE stream = p_stream AND owner = p_owner AND epoch = p_epoch AND last_id = p_last_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    outcomes := old.counted + old.duplicates + old.rejected + old.conflicts + old.lost + p_gone;
    IF outcomes > 0 THEN
        INSERT INTO stream_epochs (stream, epoch, token, last_id, added, counted, duplicates, rejected,
                                   conflicts, lost, reason)
        VALUES (old.stream, old.epoch, old.token, old.last_id, outcomes, old.counted, old.duplicates,
                old.rejected, old.conflicts, old.lost + p_gone, p_reason);
    END IF;
    UPDATE stream_positions
       SET epoch = CASE WHEN outcomes > 0 THEN epoch + 1 ELSE epoch END,
           token = coalesce(p_token, CASE WHEN outcomes > 0 THEN gen_random_uuid() ELSE token END),
           last_id = p_start, base = p_base, added_seen = p_base + p_lost, counted = 0, duplicates = 0,
           rejected = 0, conflicts = 0, lost = p_lost, repeats_until = p_repeats_until, reset_token = NULL,
           updated_at = now()
     WHERE stream = p_stream;
    RETURN true;
END $$;

COMMENT ON FUNCTION open_epoch IS
    'Ends a stream''s epoch with its balance and opens the next one; false when the caller does not own the stream.';
REVOKE ALL ON FUNCTION open_epoch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_epoch TO meterline_aggregator, meterline_ctl;
