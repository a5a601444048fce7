-- Submissions that are not done, by state, and since when the oldest one waits.
select state, count(*) as n, min(created_at) as oldest_at
  from usage_submissions
 where state not in ('sent', 'void')
 group by state
