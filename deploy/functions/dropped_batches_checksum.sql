CREATE OR REPLACE FUNCTION dropped_batches_checksum(d stream_batches_dropped) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(d.stream, d.epoch, d.number, encode(d.seal, 'hex'), d.counted, d.duplicates,
                                               d.rejected, d.conflicts)::text, 'UTF8'))
$$;

COMMENT ON FUNCTION dropped_batches_checksum IS 'Checksum of a row of stream_batches_dropped.';
