CREATE OR REPLACE FUNCTION ended_epoch_checksum(e stream_epochs) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(e.stream, e.epoch, e.token, e.last_id, e.added, e.counted, e.duplicates,
                                               e.rejected, e.conflicts, e.lost, e.reason,
                                               extract(epoch FROM e.closed_at))::text, 'UTF8'))
$$;

COMMENT ON FUNCTION ended_epoch_checksum IS 'Checksum of a row of stream_epochs.';
