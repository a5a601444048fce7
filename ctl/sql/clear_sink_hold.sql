-- Let sinks go on, unless more was lost since it was read.
-- $1 int8: sink_hold as it was read
update ledger_state set value = 0 where name = 'sink_hold' and value = $1
