-- The server's clock, to compare it with ours.
select clock_timestamp()
