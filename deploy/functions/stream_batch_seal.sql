CREATE OR REPLACE FUNCTION stream_batch_seal(p_before bytea, b stream_batches) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(p_before, '') || convert_to(jsonb_build_array(b.stream, b.number, b.batch, b.epoch, b.from_id,
               b.last_id, b.counted, b.duplicates, b.rejected, b.conflicts, b.base, b.lost,
               extract(epoch FROM b.committed_at), encode(b.contents, 'hex'), encode(b.rejects, 'hex'),
               encode(b.repeats, 'hex'), encode(b.ended, 'hex'))::text, 'UTF8'))
$$;

COMMENT ON FUNCTION stream_batch_seal IS 'The seal of a batch: a hash of its row and of the seal before it.';
