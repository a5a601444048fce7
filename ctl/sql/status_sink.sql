-- What waits to be sent to Stripe, since when, and who is sending.
select 'sink' as stage, 'submissions' as queue, count(*) as depth, count(*) as waiting,
       floor(extract(epoch from clock_timestamp() - min(created_at)))::bigint as oldest_s,
       string_agg(distinct owner, ',')
           filter (where state = 'sending' and lease_until > clock_timestamp()) as owner
  from usage_submissions
 where state in ('pending', 'sending')
