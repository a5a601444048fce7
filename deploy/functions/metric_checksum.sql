-- Checksum of what a metric's usage is counted and sent by. `meterctl audit` finds with it what was altered by other
-- means than `meterctl catalog apply`.
CREATE OR REPLACE FUNCTION metric_checksum(m metrics) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(m.metric, m.aggregation, m.carry, m.dimensions, m.from_metric,
               m.where_dimensions, m.stripe_event_name, m.transport, m.rounding, m.retired_at IS NULL)::text, 'UTF8'))
$$;

COMMENT ON FUNCTION metric_checksum IS 'Checksum of what a metric''s usage is counted and sent by.';
