-- What is not sent, since Stripe's meter is missing, archived or counts otherwise, and how many submissions wait for it.
select metric, event_name, extract(epoch from now() - since)::int8 as since_s,
       (select count(*) from usage_submissions s
         where s.event_name = h.event_name and s.state in ('pending', 'sending')
           and s.transport <> 'usage_records') as waiting, why
  from meter_holds h
 order by event_name
