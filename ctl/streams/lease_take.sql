-- Take the stream from whoever counts it, and note the token of the epoch to open. A token that was noted before is
-- kept: a stream that was rewritten already has it. Returns the position, who this ledger is, and entries-added at the
-- position.
-- $1 text stream; $2 text owner; $3 int4 seconds of the lease
INSERT INTO stream_positions AS p (stream, owner, lease_until, reset_token)
VALUES ($1, $2, clock_timestamp() + $3::int4 * interval '1 s', gen_random_uuid())
ON CONFLICT (stream) DO UPDATE
   SET owner = excluded.owner, lease_until = excluded.lease_until,
       reset_token = coalesce(p.reset_token, excluded.reset_token)
RETURNING epoch, last_id, token, reset_token, counted + duplicates + rejected + conflicts + lost,
          (SELECT ledger_id FROM ledger_identity), (SELECT takeovers FROM ledger_identity),
          (base + counted + duplicates + rejected + conflicts + lost)::int8
