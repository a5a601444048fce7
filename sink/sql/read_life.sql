-- Is this the ledger that it was, and what Redis would have to know of it: a row for each stream, one without if there
-- is none.
select i.ledger_id, i.life is not distinct from ledger_life() as is_known, ledger_life() as life,
       i.life is null as is_first, i.picks, coalesce(i.redis_run, '') as redis_run,
       i.picks > 0 or exists (select from stream_positions where batches > 0) as has_past,
       p.stream, p.epoch, p.token, coalesce(p.reset_token::text, '') as reset_token, p.last_id
  from ledger_identity i
  left join stream_positions p on true
 order by p.stream
