-- The streams that an aggregator ever owned.
select stream from stream_positions order by stream
