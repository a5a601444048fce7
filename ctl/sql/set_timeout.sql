-- Cut off statements of this session that take longer.
-- $1 text: milliseconds, 0 for no limit
select set_config('statement_timeout', $1, false)
