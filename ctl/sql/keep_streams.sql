-- Streams of the old number that nobody has counted yet: aggregators look after every stream that has a position.
-- $1 int8: the old number
insert into stream_positions (stream)
select case when $1::int8 = 1 then 'usage:events' else 'usage:events:{' || i || '}' end
  from generate_series(0, $1::int8 - 1) i
on conflict do nothing
