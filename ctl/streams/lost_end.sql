-- Give the stream back.
-- $1 text stream; $2 text owner
UPDATE stream_positions SET owner = NULL, lease_until = NULL WHERE stream = $1 AND owner = $2
