-- Does anything wait to be sent, and do we still hold something?
-- $1 text: owner
select exists (select from usage_submissions where state = 'pending') as waits,
       exists (select from usage_submissions where state = 'sending' and owner is distinct from $1
                                               and lease_until < now()) as abandoned
