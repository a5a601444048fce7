-- Keep the lease. No row: somebody else has it.
-- $1 text stream; $2 text owner
UPDATE stream_positions SET lease_until = clock_timestamp() + interval '3 s'
 WHERE stream = $1 AND owner = $2
RETURNING 1
