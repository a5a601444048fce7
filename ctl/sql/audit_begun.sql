-- Now, by the database's clock, as it is shown and read again.
select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
