-- The time of a batch's last entry, Unix ms, as far as its id is to be believed: at most a day ahead of the commit; that
-- of the commit if it is older than streams are (2018), since somebody numbers the entries himself then.
CREATE OR REPLACE FUNCTION entry_time(entry_last_ms bigint, committed_at timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN entry_last_ms < 1514764800000 THEN floor(extract(epoch FROM committed_at) * 1000)::bigint
            ELSE least(entry_last_ms, floor(extract(epoch FROM committed_at) * 1000)::bigint + 86400000) END;

COMMENT ON FUNCTION entry_time IS 'The time of a batch''s last entry in Unix ms, as far as its id can be believed.';
