-- Entries among those that are read again that were rejected or conflicts, and what they said.
-- $1 text stream; $2 text[] entry ids
SELECT r.stream_id, r.content
  FROM rejected_events r
 WHERE r.stream = $1 AND r.stream_id = ANY ($2::text[]) AND r.content IS NOT NULL
