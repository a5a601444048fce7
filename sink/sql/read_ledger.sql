-- Was this ledger compared since PostgreSQL was started, and what must Redis know of it? A row for each stream; one row
-- without a stream if there is none.
SELECT i.ledger_id, i.life IS NOT DISTINCT FROM ledger_life() AS is_known, ledger_life() AS life,
       i.life IS NULL AS is_first, i.picks, coalesce(i.redis_run, '') AS redis_run,
       i.picks > 0 OR EXISTS (SELECT FROM stream_positions WHERE batches > 0) AS has_past,
       p.stream, p.epoch, p.token, coalesce(p.reset_token::text, '') AS reset_token, p.last_id
  FROM ledger_identity i
  LEFT JOIN stream_positions p ON true
 ORDER BY p.stream
