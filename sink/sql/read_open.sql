-- Does anything wait to be sent that may be, and do we still hold something?
-- $1 text: owner
SELECT EXISTS (SELECT FROM usage_submissions
                WHERE state = 'pending'
                  AND (transport = 'usage_records'
                       OR event_name <> ALL (ARRAY(SELECT event_name FROM meter_holds)))) AS waits,
       EXISTS (SELECT FROM usage_submissions WHERE state = 'sending' AND owner IS DISTINCT FROM $1
                                               AND lease_until < now()) AS abandoned
