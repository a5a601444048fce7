-- How long a tenant whose payment failed may go on.
CREATE OR REPLACE FUNCTION payment_grace() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '7 days';

COMMENT ON FUNCTION payment_grace IS 'How long a tenant whose payment failed may go on.';
