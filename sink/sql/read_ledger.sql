-- Is this the ledger that it was, and what Redis would have to know of it: a row for each stream, one without if there
-- is none.
SELECT i.ledger_id, i.life IS NOT DISTINCT FROM ledger_life() AS is_known, ledger_life() AS life,
       i.life IS NULL AS is_first, i.picks, coalesce(i.redis_run, '') AS redis_run,
       i.picks > 0 OR EXISTS (SELECT FROM stream_positions WHERE batches > 0) AS has_past,
       p.stream, p.epoch, p.token, coalesce(p.reset_token::text, '') AS reset_token, p.last_id
  FROM ledger_identity i
  LEFT JOIN stream_positions p ON true
 ORDER BY p.stream
