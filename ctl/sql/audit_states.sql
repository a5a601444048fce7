-- Submissions that are in a state which the sink cannot have left them in: at most 10, and what is odd. It is written with
-- the state: an owner and a lease while it is `sending`; sent_at as long as it is `sent`; why an earlier try is made again.
select s.identifier, s.tenant, s.metric, s.state, x.what
  from usage_submissions s
 cross join lateral (
    select case when s.state = 'sending' and (s.owner is null or s.lease_until is null or s.first_sent_at is null
                                              or s.attempts < 1) then 'sending without a sender'
                when s.state <> 'sending' and (s.owner is not null or s.lease_until is not null)
                then 'has a sender, and is not sending'
                when s.state = 'sent' and s.sent_at is null then 'sent without a time'
                when s.state <> 'sent' and s.sent_at is not null then 'was sent already'
                when s.state = 'pending' and s.attempts > 0 and s.last_error is null
                then 'waits for another try without a reason'
                when s.attempts = 0 and (s.first_sent_at is not null or s.request_id is not null)
                     and not starts_with(s.identifier, 'ml-found-') then 'an answer without a try'
                when s.decision is not null and s.state not in ('late', 'void') then 'decided on, and not late'
                when s.quantity <> floor(s.quantity) then 'not a whole number'
                when s.usage_at <> minute_of(s.usage_at) then 'not a whole minute'
                when s.usage_at < s.period_start and not s.carried then 'before its period' end as what) x
 where x.what is not null
 order by s.identifier
 limit 10
