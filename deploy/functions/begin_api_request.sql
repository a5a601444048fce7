-- Takes a request of the API under its idempotency key. outcome: new, or resumed (its process has died: progress is how
-- far it came): it is p_owner's for p_lease_ms. done: it was answered. busy: another process, or another call, works on it. other: the key was
-- used for another request. request_id: names it, the same in each try; a key that is used again after its time has another one.
CREATE OR REPLACE FUNCTION begin_api_request(p_tenant text, p_key text, p_digest bytea, p_method text, p_path text, p_key_id text,
                                             p_owner text, p_lease_ms integer)
RETURNS TABLE (outcome text, attempt integer, status integer, answer text, progress text, request_id text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    r api_requests;
    made text;
    until timestamptz := clock_timestamp() + p_lease_ms * interval '1 ms';
BEGIN
    LOOP
        INSERT INTO api_requests (tenant, idempotency_key, digest, method, path, key_id, owner, lease_until)
        VALUES (p_tenant, p_key, p_digest, p_method, p_path, p_key_id, p_owner, until)
        ON CONFLICT (tenant, idempotency_key) DO NOTHING
        RETURNING request_id INTO made;
        IF FOUND THEN
            RETURN QUERY SELECT 'new', 1, NULL::integer, NULL::text, NULL::text, made;
            RETURN;
        END IF;
        SELECT * INTO r FROM api_requests q WHERE q.tenant = p_tenant AND q.idempotency_key = p_key FOR UPDATE;
        EXIT WHEN FOUND;   -- else its time was over just now
    END LOOP;
    IF r.created_at < clock_timestamp() - interval '24 hours' AND (r.status IS NOT NULL OR r.lease_until <= clock_timestamp()) THEN
        DELETE FROM api_requests q WHERE q.tenant = p_tenant AND q.idempotency_key = p_key;
        INSERT INTO api_requests (tenant, idempotency_key, digest, method, path, key_id, owner, lease_until)
        VALUES (p_tenant, p_key, p_digest, p_method, p_path, p_key_id, p_owner, until)
        RETURNING request_id INTO made;
        RETURN QUERY SELECT 'new', 1, NULL::integer, NULL::text, NULL::text, made;
    ELSIF r.digest <> p_digest THEN
        RETURN QUERY SELECT 'other', r.attempt, NULL::integer, NULL::text, NULL::text, r.request_id;
    ELSIF r.status IS NOT NULL THEN
        RETURN QUERY SELECT 'done', r.attempt, r.status, r.answer, NULL::text, r.request_id;
    ELSIF r.lease_until > clock_timestamp() THEN
        RETURN QUERY SELECT 'busy', r.attempt, NULL::integer, NULL::text, NULL::text, r.request_id;
    ELSE
        UPDATE api_requests q SET owner = p_owner, lease_until = until, attempt = r.attempt + 1, key_id = p_key_id
         WHERE q.tenant = p_tenant AND q.idempotency_key = p_key;
        RETURN QUERY SELECT 'resumed', r.attempt + 1, NULL::integer, NULL::text, r.progress, r.request_id;
    END IF;
END $$;

COMMENT ON FUNCTION begin_api_request IS 'Takes a request of the API under its idempotency key, or tells what became of it.';
REVOKE ALL ON FUNCTION begin_api_request FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_api_request TO meterline_api, meterline_ctl;
