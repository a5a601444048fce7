CREATE OR REPLACE FUNCTION metric_version_checksum(v metric_versions) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(v.metric, v.from_version, v.aggregation, v.dimensions, v.from_metric,
               v.where_dimensions)::text, 'UTF8'))
$$;

COMMENT ON FUNCTION metric_version_checksum IS 'Checksum of a row of metric_versions.';
