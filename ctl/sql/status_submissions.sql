-- Submissions by state, and the age of the oldest, in s.
select state, count(*) as count,
       floor(extract(epoch from clock_timestamp() - min(created_at)))::bigint as oldest_s
  from usage_submissions
 group by state
 order by array_position(array['pending', 'sending', 'held', 'in_doubt', 'failed', 'late', 'sent',
                               'void'], state)
