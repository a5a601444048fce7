-- Where a stream's group has to be, and in which epoch.
-- $1 text stream
SELECT last_id, token FROM stream_positions WHERE stream = $1
