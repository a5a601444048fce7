-- The time of the oldest entry that waits in any stream, as last seen, or an earlier time; now if no entry waits. An
-- entry id may hold any 64-bit number, so times that no clock shows are not believed, nor times before Redis had
-- streams (2018). Nothing is known of a stream that was not read yet.
CREATE OR REPLACE FUNCTION oldest_unread() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT least(now(), to_timestamp(min(least(p.ms, 253402300799999)) / 1000))
      FROM stream_positions
     CROSS JOIN LATERAL (SELECT split_part(last_id, '-', 1)::numeric AS ms) p
     WHERE (last_id = '0-0' OR p.ms >= 1514764800000)
       AND added_seen > base + counted + duplicates + rejected + conflicts + lost
$$;

COMMENT ON FUNCTION oldest_unread IS 'The time of the oldest entry that waits in any stream, or earlier.';
