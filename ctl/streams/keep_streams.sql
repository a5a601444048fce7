-- Give a position to streams of the old number that nobody has counted yet: aggregators look after every stream that
-- has one.
-- $1 int8: the old number
INSERT INTO stream_positions (stream)
SELECT CASE WHEN $1::int8 = 1 THEN 'usage:events' ELSE 'usage:events:{' || i || '}' END
  FROM generate_series(0, $1::int8 - 1) i
ON CONFLICT DO NOTHING
