-- Rejected entries by reason: how many, how many were not replayed, and the age of the newest, in s.
select reason, count(*) as entries, count(*) filter (where replayed_at is null) as pending,
       floor(extract(epoch from clock_timestamp() - max(rejected_at)))::bigint as newest_s
  from rejected_events
 group by reason
 order by reason
