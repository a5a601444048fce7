-- Take every stream from whoever counts it: what they have in hand is fenced.
UPDATE stream_positions SET owner = NULL, lease_until = NULL
