-- Take every stream from whoever counts it. What an aggregator has in hand cannot be committed any more.
UPDATE stream_positions SET owner = NULL, lease_until = NULL
