-- Stores the answer to a request of the API. Raises if another process has taken it over: then nothing of this
-- transaction may stay.
CREATE OR REPLACE FUNCTION finish_api_request(p_tenant text, p_key text, p_owner text, p_attempt integer, p_status integer, p_answer text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE api_requests SET status = p_status, answer = p_answer, answered_at = clock_timestamp()
     WHERE tenant = p_tenant AND idempotency_key = p_key AND owner = p_owner AND attempt = p_attempt AND status IS NULL;
    IF NOT FOUND THEN
        RAISE 'another process has taken this request over' USING ERRCODE = 'ML001';
    END IF;
END $$;

COMMENT ON FUNCTION finish_api_request IS 'Stores the answer to a request of the API, unless another process has taken it over.';
REVOKE ALL ON FUNCTION finish_api_request FROM PUBLIC;
GRANT EXECUTE ON FUNCTION finish_api_request TO meterline_api, meterline_ctl;
