-- Take the stream from whoever counts it, so that its position stays.
-- $1 text stream; $2 text owner; $3 int4 seconds of the lease
UPDATE stream_positions SET owner = $2, lease_until = clock_timestamp() + $3::int4 * interval '1 s'
 WHERE stream = $1
