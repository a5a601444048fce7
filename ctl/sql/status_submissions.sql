-- Submissions by state, and the age of the oldest, in s.
select s.state, count(u.state) as count,
       floor(extract(epoch from clock_timestamp() - min(u.created_at)))::bigint as oldest_s
  from unnest(array['pending', 'sending', 'held', 'in_doubt', 'failed', 'late', 'sent', 'void'])
       with ordinality as s (state, place)
  left join usage_submissions u on u.state = s.state
 group by s.state, s.place
 order by s.place
