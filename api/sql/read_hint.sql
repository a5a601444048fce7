-- How far webhookd is with hints: it has worked them all; and whether it could use them all.
-- $1 text[]: ids of the hints
SELECT count(*) FILTER (WHERE state = 'received') = 0, count(*) FILTER (WHERE state = 'processed') = cardinality($1::text[])
  FROM webhook_events
 WHERE event_id = ANY ($1::text[])
