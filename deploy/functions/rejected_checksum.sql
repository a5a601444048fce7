-- Checksum of those parts of a rejected entry that no command changes.
CREATE OR REPLACE FUNCTION rejected_checksum(r rejected_events) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(r.rejected_id, r.stream, r.epoch, r.batch, r.stream_id, r.tenant, r.reason,
                                               r.detail, r.fields, r.content, extract(epoch FROM r.rejected_at))::text, 'UTF8'))
$$;

COMMENT ON FUNCTION rejected_checksum IS 'Checksum of what no command changes in a row of rejected_events.';
