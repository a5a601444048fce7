-- The server's clock, to compare it with ours; is it read-only by default? Which process serves the session?
SELECT clock_timestamp(), current_setting('default_transaction_read_only') = 'on', pg_backend_pid()
