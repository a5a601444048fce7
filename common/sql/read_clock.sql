-- The server's clock, to compare it with ours; is it read-only by default?
SELECT clock_timestamp(), current_setting('default_transaction_read_only') = 'on'
