-- Take the lease of a stream that nobody holds, or that is ours. A row: we own it. Last: of the epochs that
-- ended, the newest one's token and how much it had, and all their tokens.
-- Then who this ledger is.
-- $1 text stream; $2 text owner
INSERT INTO stream_positions AS p (stream, owner, lease_until)
VALUES ($1, $2, clock_timestamp() + interval '3 s')
ON CONFLICT (stream) DO UPDATE
   SET owner = excluded.owner, lease_until = excluded.lease_until
 WHERE p.owner IS NULL OR p.owner = excluded.owner OR p.lease_until < clock_timestamp()
RETURNING epoch, last_id, base::text, counted + duplicates + rejected + conflicts AS processed, lost,
          batches, added_seen::text, token, reset_token, repeats_until,
          (SELECT e.token FROM stream_epochs e WHERE e.stream = p.stream ORDER BY e.epoch DESC LIMIT 1),
          (SELECT e.added FROM stream_epochs e WHERE e.stream = p.stream ORDER BY e.epoch DESC LIMIT 1),
          (SELECT string_agg(e.token::text, ' ') FROM stream_epochs e WHERE e.stream = p.stream),
          (SELECT ledger_id FROM ledger_identity), (SELECT takeovers FROM ledger_identity)
