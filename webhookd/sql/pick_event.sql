-- Takes the next event that is due, for as long as the transaction lasts. Events of one object come in
-- the order of their creation and never side by side: a younger one waits for an older one that is due.
select e.event_id, e.type, e.attempts, e.payload::text
  from webhook_events e
 where e.state = 'received'
   and e.next_attempt_at <= now()
   and not exists (
        select from webhook_events older
         where older.state = 'received'
           and older.next_attempt_at <= now()
           and older.object_id = e.object_id
           and (older.created_at, older.received_at, older.event_id)
             < (e.created_at, e.received_at, e.event_id))
 order by e.next_attempt_at, e.created_at
 limit 1
   for update skip locked
