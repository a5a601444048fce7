-- The time of a batch's last entry in Unix ms, as far as its id can be believed: at most a day after the commit. An id
-- from before Redis had streams (2018) was made by somebody else, so then it is the time of the commit.
CREATE OR REPLACE FUNCTION entry_time(entry_last_ms bigint, committed_at timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN entry_last_ms < 1514764800000 THEN floor(extract(epoch FROM committed_at) * 1000)::bigint
            ELSE least(entry_last_ms, floor(extract(epoch FROM committed_at) * 1000)::bigint + 86400000) END;

COMMENT ON FUNCTION entry_time IS 'The time of a batch''s last entry in Unix ms, as far as its id can be believed.';
