-- Lets events of a time that is too long ago be counted.
-- $1 text: id; $2 text: tenant; $3 timestamptz: from; $4 timestamptz: until; $5 text: why; $6 text: name of the key
SELECT open_usage_backfill($1, $2, $3::timestamptz, $4::timestamptz, $5, $6), extract(epoch FROM $3::timestamptz) * 1000,
       extract(epoch FROM $4::timestamptz) * 1000
