-- Does anything wait to be sent that may be, and do we still hold something?
-- $1 text: owner
select exists (select from usage_submissions
                where state = 'pending'
                  and (transport = 'usage_records'
                       or event_name <> all (array(select event_name from meter_holds)))) as waits,
       exists (select from usage_submissions where state = 'sending' and owner is distinct from $1
                                               and lease_until < now()) as abandoned
