-- $1 interval: rejected entries are kept that long
select count(*) from rejected_events where rejected_at < now() - $1::interval
