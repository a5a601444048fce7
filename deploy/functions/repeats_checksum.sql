-- Checksum of which entries of a batch were repeats, and what they said.
CREATE OR REPLACE FUNCTION repeats_checksum(r usage_repeats) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(r.day, r.stream, r.epoch, r.batch, r.entry_last_ms)::text, 'UTF8')
                  || array_send(r.entry_ms) || array_send(r.entry_seq) || array_send(r.contents))
$$;

COMMENT ON FUNCTION repeats_checksum IS 'Checksum of a row of usage_repeats.';
