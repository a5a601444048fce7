-- The streams that an aggregator ever owned.
SELECT stream FROM stream_positions ORDER BY stream
