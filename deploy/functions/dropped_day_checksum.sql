CREATE OR REPLACE FUNCTION dropped_day_checksum(d usage_batches_dropped) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(d.stream, d.epoch, d.day, d.events, extract(epoch FROM d.occurred_max),
                                               extract(epoch FROM d.dropped_at))::text, 'UTF8'))
$$;

COMMENT ON FUNCTION dropped_day_checksum IS 'Checksum of a row of usage_batches_dropped.';
