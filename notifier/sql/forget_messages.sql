-- Deletes messages that are done with and older than they are kept, a page at a time.
-- $1 int8: days; $2 int8: so many at most
DELETE FROM outgoing_messages
 WHERE (message_id, channel) IN (
       SELECT message_id, channel
         FROM outgoing_messages
        WHERE created_at < now() - $1 * interval '1 day' AND state <> 'waiting'
        ORDER BY created_at LIMIT $2)
