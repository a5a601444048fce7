-- The slice of a batch that holds a tenant's events. A batch has 16, so that one tenant's events are found without
-- reading all of it. The aggregator computes the same number: SHA-256 of the tenant, first byte, low four bits.
CREATE OR REPLACE FUNCTION tenant_slice(tenant text) RETURNS smallint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (get_byte(sha256(convert_to(tenant, 'UTF8')), 0) & 15)::smallint;

COMMENT ON FUNCTION tenant_slice IS 'The slice of a batch that holds a tenant''s events, 0 to 15.';
