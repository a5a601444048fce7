-- For a caller that has added up the sums of p_batches pending batches itself, from p_first to p_last, and has written
-- them as one row in the same transaction. Marks those batches as covered. Raises ML001 if they are gone, because
-- somebody else has folded them.
CREATE OR REPLACE FUNCTION cover_pending(p_stream text, p_first bigint, p_last bigint, p_batches bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    -- The same lock as fold_usage, in the same order.
    PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
    UPDATE usage_pending SET from_raw = false
     WHERE stream = p_stream AND from_raw AND batch BETWEEN p_first AND p_last;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n <> p_batches THEN
        RAISE EXCEPTION 'stream % was folded by somebody else', p_stream USING ERRCODE = 'ML001';
    END IF;
END $$;

COMMENT ON FUNCTION cover_pending IS 'Marks pending batches as covered by sums that the caller has written in one row.';
REVOKE ALL ON FUNCTION cover_pending FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cover_pending TO meterline_aggregator;
