-- Submissions that are not done, by state, and since when the oldest one waits. What a person dropped is done.
select state, count(*) as n, min(created_at) as oldest_at
  from (select state, created_at from usage_submissions where state in ('pending', 'sending')
         union all
        select state, created_at
          from usage_submissions
         where state in ('held', 'failed', 'in_doubt', 'late') and decision is distinct from 'drop') as open
 group by state
